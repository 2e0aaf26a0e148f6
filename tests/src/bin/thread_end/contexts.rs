//! Can contexts, their variables and the tokens be used while their thread ends?

use std::sync::Arc;

use selvedge::{Context, ContextVar, Token, copy_context};

use super::{Act, Case, Env, VAR, object, wait_for};

static BOMB: ContextVar<Bomb> = ContextVar::new("bomb");

/// Panics in the destructor that drops its last clone.
#[derive(Clone)]
struct Bomb(#[expect(dead_code, reason = "it is there to be dropped")] Arc<Fuse>);

struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        panic!("a value's drop panics");
    }
}

pub(super) fn contexts(cases: &mut Vec<Case>) {
    object(
        cases,
        "Context",
        |_| Context::new(),
        |env, context| {
            let token = context.run(|| {
                let _ = VAR.set(2);
                let token = VAR.set(3);
                assert_eq!((VAR.get(), copy_context().run(|| VAR.get())), (Some(3), Some(3)));
                let inside = env.live.create_task(async { Ok(VAR.get()) });
                assert_eq!(wait_for(inside).unwrap(), Some(3));
                token
            });
            assert!(VAR.reset(token).is_err());
            assert_eq!(context.copy().run(|| VAR.get()), Some(3));
        },
    );
    object(
        cases,
        "copied Context",
        |_| copy_context(),
        |_, context| {
            context.run(|| drop(VAR.set(2)));
            assert_eq!(context.run(|| VAR.get()), Some(2));
        },
    );
    object(
        cases,
        "ContextVar",
        |_| (),
        |env, ()| {
            let before = VAR.get();
            let token = VAR.set(4);
            // A value that is set after the thread's own context is gone is lost.
            let stays = VAR.get() == Some(4);
            assert!(stays || before.is_none());
            assert_eq!(VAR.reset(token).is_ok(), stays);
            assert_eq!(VAR.get(), before);
            let inherited = env.live.create_task(async { Ok(VAR.get()) });
            assert_eq!(wait_for(inherited).unwrap(), before);
        },
    );
    object(
        cases,
        "Token",
        |_| VAR.set(5),
        |env, token: Token<u32>| {
            let is_reset = VAR.reset(token).is_ok();
            assert!(
                !(is_reset && env.has_no_context),
                "this case is one in which the thread's context is gone"
            );
        },
    );
}

/// The thread's own context drops the value, and a panic there must not end the process.
pub(super) fn value_that_panics(cases: &mut Vec<Case>) {
    let prepare: fn(&Env) -> Act = |_| {
        let set = || drop(BOMB.set(Bomb(Arc::new(Fuse))));
        if selvedge::current_task().is_none() {
            set();
            return Box::new(|| ());
        }
        // In a task, the value would be in the task's context. The thread's own context is made
        // when it is first used.
        Box::new(set)
    };
    cases.push(Case { name: "value that panics when it is dropped".to_owned(), prepare: Box::new(prepare) });
}
