fn main() {
    let local = String::new();
    selvedge::create_task(async { Ok(local.len()) });
}

// The compiler says:
//
//     it borrows `local`
//     `move`
