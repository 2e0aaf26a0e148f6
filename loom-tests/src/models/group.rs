//! Does a group end, and only after all its tasks? `task_group` as it ships.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use loom::thread;
use selvedge::{EventLoop, Task, TaskGroup, task, task_group};

use crate::support::{Model, drain, loop_house, reached};

/// Passes a handle to the group out of the group.
type Handed<T> = Arc<Mutex<Option<T>>>;

fn take<T>(handed: &Handed<T>) -> T {
    handed.lock().expect("not poisoned").take().expect("handed over in the first poll")
}

static RAN: AtomicUsize = AtomicUsize::new(0);
static NEVER_BEGAN: AtomicUsize = AtomicUsize::new(0);

/// A group is ended early while its body waits for ever and its only task is just ending: the body
/// receives the request.
pub(super) const GROUP_CANCEL_VS_CHILD_EXIT: Model =
    Model::new("group_cancel_vs_child_exit", "a group is ended early as its last task ends", || {
        loom::stop_exploring();
        let (house, event_loop) = loop_house(2, false);
        let here = house.reserve(0).sit();
        let (handed, ran) = (Handed::default(), Arc::new(AtomicBool::new(false)));
        let (hands, runs) = (Arc::clone(&handed), Arc::clone(&ran));
        let never = event_loop.create_future::<()>();
        let owner = event_loop.create_task(async move {
            let mut member = None;
            let ended = task_group(async |tg| {
                member = Some(tg.create_task(async move {
                    runs.store(true, Ordering::Relaxed);
                    Ok(())
                }));
                *hands.lock().expect("not poisoned") = Some(tg.clone());
                never.await
            })
            .await;
            assert!(member.is_some_and(|member| member.done()), "the task outlives the group");
            ended
        });
        assert!(here.turn());
        let (group, member) = (take::<TaskGroup>(&handed), here.pop().expect("the group's task"));
        let there = house.reserve(1);
        loom::explore();
        let elsewhere = thread::spawn(move || {
            let there = there.sit();
            there.poll(member);
            while let Some(right) = there.pop() {
                there.poll(right);
            }
        });
        group.cancel();
        elsewhere.join().expect("no panic");
        drain(&house, &here);
        reached(if ran.load(Ordering::Relaxed) { &RAN } else { &NEVER_BEGAN });
        assert!(owner.done(), "the body was not told");
        assert!(owner.result().is_ok());
    })
    .finds(&["group-asks-after-its-lock"])
    .reaches(|| vec![("the task ran", &RAN), ("it was cancelled before", &NEVER_BEGAN)]);

static JOINED: AtomicUsize = AtomicUsize::new(0);
static TOO_LATE: AtomicUsize = AtomicUsize::new(0);

/// Another thread of the loop adds a task while the group ends: the task is refused, or the group
/// waits for it.
pub(super) const GROUP_END_VS_ADMISSION: Model =
    Model::new("group_end_vs_admission", "a group ends while another worker adds a task to it", || {
        loom::stop_exploring();
        let (house, event_loop) = loop_house(2, false);
        let here = house.reserve(0).sit();
        let (handed, gate) = (Handed::default(), event_loop.create_future());
        let (hands, waits) = (Arc::clone(&handed), gate.clone());
        // loom must see the write to `ended`, because the model checks the order of the two
        // threads.
        let ended = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let ran = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&ended);
        let owner = event_loop.create_task(async move {
            task_group(async |tg| {
                *hands.lock().expect("not poisoned") = Some(tg.clone());
                waits.await
            })
            .await?;
            ends.store(true, Ordering::Relaxed);
            Ok(())
        });
        assert!(here.turn());
        gate.set_result(()).expect("set once");
        let (group, there, runs) = (take::<TaskGroup>(&handed), house.reserve(1), Arc::clone(&ran));
        loom::explore();
        let elsewhere = thread::spawn(move || {
            let there = there.sit();
            // The task is eager, so that it runs before it is in the group. Any task may do so on a
            // third worker.
            let eager = task::Builder::new().eager_start(true);
            drop(group.create_task_with(eager, async move {
                runs.store(true, Ordering::Relaxed);
                assert!(!ended.load(Ordering::Relaxed), "the task outlives the group");
                Ok(())
            }));
            while let Some(right) = there.pop() {
                there.poll(right);
            }
        });
        assert!(here.turn());
        elsewhere.join().expect("no panic");
        drain(&house, &here);
        reached(if ran.load(Ordering::Relaxed) { &JOINED } else { &TOO_LATE });
        assert!(owner.done(), "the group waits for nobody");
        assert!(owner.result().is_ok());
    })
    .finds(&["group-ends-while-a-task-joins"])
    .reaches(|| vec![("the task joined", &JOINED), ("it was refused", &TOO_LATE)]);

static REFUSED: AtomicUsize = AtomicUsize::new(0);
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

fn owner_that_admits(
    event_loop: &EventLoop,
    handed: Handed<TaskGroup>,
) -> (Task<bool>, selvedge::Future<()>) {
    let (gate, never) = (event_loop.create_future(), event_loop.create_future::<()>());
    let waits = gate.clone();
    let owner = event_loop.create_task(async move {
        let mut member = None;
        task_group(async |tg| {
            *handed.lock().expect("not poisoned") = Some(tg.clone());
            // The cancellation request may be delivered to this await.
            let _ = waits.await;
            member = Some(tg.create_task(never));
            Ok(())
        })
        .await?;
        let member = member.expect("made by the body");
        // A refused task does not belong to the group, and ends by itself.
        let had_ended = member.done();
        let was_cancelled = member.await.unwrap_err().is_cancelled();
        assert!(had_ended || !was_cancelled, "the task outlives the group");
        Ok(was_cancelled)
    });
    (owner, gate)
}

/// A group is ended early while its body adds a task that waits for ever: the task is refused or
/// cancelled.
pub(super) const GROUP_CANCEL_VS_ADMISSION: Model =
    Model::new("group_cancel_vs_admission", "a group is ended early while a task joins it", || {
        loom::stop_exploring();
        let (house, event_loop) = loop_house(1, false);
        let here = house.reserve(0).sit();
        let handed = Handed::default();
        let (owner, gate) = owner_that_admits(&event_loop, Arc::clone(&handed));
        assert!(here.turn());
        gate.set_result(()).expect("set once");
        let group = take(&handed);
        loom::explore();
        let canceller = thread::spawn(move || group.cancel());
        assert!(here.turn());
        canceller.join().expect("no panic");
        drain(&house, &here);
        assert!(owner.done(), "the group waits for a task that nobody cancels");
        let was_cancelled = *owner.result().expect("a group that is ended early ends well");
        reached(if was_cancelled { &CANCELLED } else { &REFUSED });
    })
    .finds(&["late-task-is-not-cancelled"])
    .reaches(|| vec![("the task was refused", &REFUSED), ("it was cancelled", &CANCELLED)]);
