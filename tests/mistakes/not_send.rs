use std::rc::Rc;

fn main() {
    let shared = Rc::new(1);
    selvedge::create_task(async move {
        selvedge::sleep(std::time::Duration::ZERO).await?;
        Ok(*shared)
    });
}

// The compiler says:
//
//     cannot be sent between threads safely
//     the trait `Send` is not implemented for `Rc<i32>`
//     not_send.rs:7:13
//     required by a bound in `create_task`
