use std::rc::Rc;

fn main() {
    selvedge::create_task(async { Ok(Rc::new(1)) });
}

// The compiler says:
//
//     `Rc<{integer}>` cannot be sent between threads safely
//     output_not_send.rs:4:27
//     to implement `selvedge::Coroutine`
