//! How far does virtual time reach, and how does a real clock handle the same durations?

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use selvedge::{
    EventLoop, Result, Runner, TimerHandle, as_completed, create_task, get_running_loop, sleep, timeout_at,
    wait, wait_for,
};
use selvedge_tests::foreign;

const YEAR: Duration = Duration::from_secs(31_556_952);
const NANO: Duration = Duration::from_nanos(1);

fn in_virtual_time<F>(main: F)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    Runner::builder().workers(2).virtual_time(true).run(main).unwrap();
}

#[test]
fn a_thousand_years_and_all_there_is() {
    in_virtual_time(async {
        let event_loop = get_running_loop()?;
        sleep(1000 * YEAR).await?;
        assert_eq!(event_loop.time(), 1000 * YEAR);
        // Short sleeps are as exact as before.
        sleep(NANO).await?;
        assert_eq!(event_loop.time(), 1000 * YEAR + NANO);
        let hour = Duration::from_hours(1);
        assert!(wait_for(foreign_forever(), hour).await.unwrap_err().is_timeout());
        assert_eq!(event_loop.time(), 1000 * YEAR + NANO + hour);
        sleep(Duration::MAX.saturating_sub(event_loop.time() + NANO)).await?;
        assert_eq!(event_loop.time(), Duration::MAX.saturating_sub(NANO));
        sleep(Duration::MAX).await?;
        assert_eq!(event_loop.time(), Duration::MAX);
        // Time stands still, and later timers are due at once.
        sleep(hour).await?;
        sleep(Duration::MAX).await?;
        assert!(wait_for(foreign_forever(), hour).await.unwrap_err().is_timeout());
        assert_eq!(event_loop.time(), Duration::MAX);
        Ok(())
    });
}

async fn foreign_forever() -> Result<()> {
    foreign().await;
    Ok(())
}

/// Every operation that takes a duration, one after the other, each with a duration far beyond 64
/// bits of nanoseconds.
#[test]
fn whatever_takes_a_time_takes_a_far_one() {
    in_virtual_time(async {
        let event_loop = get_running_loop()?;
        let far = 700 * YEAR;
        let after = |start: Duration| {
            let now = get_running_loop().unwrap().time();
            assert_eq!(now, start + far);
            now
        };
        let mut now = event_loop.time();
        assert!(wait_for(foreign_forever(), far).await.unwrap_err().is_timeout());
        now = after(now);
        let late = timeout_at(now + far, async |timeout| {
            assert_eq!(timeout.when(), Some(event_loop_time() + 700 * YEAR));
            foreign_forever().await
        });
        assert!(late.await.unwrap_err().is_timeout());
        now = after(now);
        let task = create_task(foreign_forever());
        let (done, pending) = wait([task]).timeout(far).await?;
        assert!(done.is_empty());
        now = after(now);
        let mut completions = as_completed(pending).timeout(far);
        assert!(completions.next().await.is_some_and(|ended| ended.is_err_and(|error| error.is_timeout())));
        drop(completions);
        now = after(now);
        let called = event_loop.create_future();
        let calls = called.clone();
        let timer = event_loop.call_later(far, move || calls.set_result(()).unwrap());
        assert_eq!(timer.when(), now + far);
        called.await?;
        now = after(now);
        let called = event_loop.create_future();
        let calls = called.clone();
        event_loop.call_at(now + far, move || calls.set_result(()).unwrap());
        called.await?;
        now = after(now);
        timeout_at(now, async |timeout| {
            timeout.reschedule(event_loop_time() + 700 * YEAR)?;
            let _ = foreign_forever().await;
            Ok(())
        })
        .await
        .unwrap_err();
        after(now);
        Ok(())
    });
}

fn event_loop_time() -> Duration {
    get_running_loop().unwrap().time()
}

/// A real clock never reaches such times, and nothing overflows: the timers never fire, and cost
/// nothing.
#[selvedge::test(workers = 2)]
async fn on_a_real_clock_the_far_future_never_comes() -> Result<()> {
    let event_loop = get_running_loop()?;
    for far in
        [1000 * YEAR, Duration::from_nanos(u64::MAX), Duration::from_nanos(u64::MAX) + NANO, Duration::MAX]
    {
        let sleeps = create_task(sleep(far));
        let timer = event_loop.call_later(far, || unreachable!("it is far"));
        let at = event_loop.call_at(far, || unreachable!("it is far"));
        let limited = create_task(wait_for(sleep(Duration::MAX), far));
        sleep(Duration::from_millis(2)).await?;
        assert!(!sleeps.done() && !limited.done());
        sleeps.cancel();
        limited.cancel();
        timer.cancel();
        at.cancel();
        assert!(sleeps.await.unwrap_err().is_cancelled() && limited.await.unwrap_err().is_cancelled());
        assert!(event_loop.time() < YEAR);
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Arm(Duration),
    Cancel(usize),
    Advance(Duration),
}

/// From nanoseconds to the largest duration, each magnitude equally likely, and the limit of 64
/// bits.
fn duration() -> impl Strategy<Value = Duration> {
    let nanos = |nanos: u128| Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32);
    prop_oneof![
        6 => (0_u32..94, any::<u128>()).prop_map(move |(size, bits)| nanos((bits >> 34 >> (93 - size)).min(Duration::MAX.as_nanos()))),
        1 => (0_u64..3000).prop_map(|back| Duration::from_nanos(u64::MAX - back)),
        1 => (0_u64..3000).prop_map(|on| Duration::from_nanos(u64::MAX) + Duration::from_nanos(on)),
        1 => ((1_u64 << 40) - 3000..(1_u64 << 40) + 3000).prop_map(|back| Duration::from_nanos(u64::MAX - back)),
        1 => Just(Duration::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => duration().prop_map(Step::Arm),
        2 => any::<usize>().prop_map(Step::Cancel),
        2 => duration().prop_map(Step::Advance),
    ]
}

type Fired = Arc<Mutex<Vec<(usize, Duration)>>>;

fn arm(event_loop: &EventLoop, number: usize, delay: Duration, fired: &Fired) -> TimerHandle {
    let (fired, clock) = (Arc::clone(fired), event_loop.clone());
    event_loop.call_later(delay, move || fired.lock().push((number, clock.time())))
}

async fn against_the_model(steps: Vec<Step>) -> Result<()> {
    let event_loop = get_running_loop()?;
    let fired = Fired::default();
    let (mut now, mut model, mut expected) = (Duration::ZERO, BTreeSet::new(), Vec::new());
    let mut timers = Vec::new();
    let steps = steps.into_iter().chain([Step::Advance(Duration::MAX)]);
    for step in steps {
        match step {
            Step::Arm(delay) => {
                let number = timers.len();
                model.insert((now.saturating_add(delay), number));
                timers.push((arm(&event_loop, number, delay, &fired), now.saturating_add(delay)));
                // The timer is armed when its callback has been polled once.
                while event_loop.metrics().timers_armed < model.len() {
                    if model.range(..=(now, usize::MAX)).next().is_some() {
                        break;
                    }
                    selvedge::sleep(Duration::ZERO).await?;
                }
            }
            // At the end of time each timer is due at once, and may have fired.
            Step::Cancel(_) if now == Duration::MAX => {}
            Step::Cancel(pick) if !timers.is_empty() => {
                let number = pick % timers.len();
                let (timer, deadline) = &timers[number];
                timer.cancel();
                model.remove(&(*deadline, number));
                while event_loop.metrics().timers_armed > model.len() {
                    selvedge::sleep(Duration::ZERO).await?;
                }
            }
            Step::Cancel(_) => {}
            Step::Advance(by) => {
                let by = by.max(NANO);
                let then = now.saturating_add(by);
                sleep(by).await?;
                now = then;
                assert_eq!(event_loop.time(), now);
                let later = model.split_off(&(now, usize::MAX));
                expected.extend(
                    std::mem::replace(&mut model, later)
                        .into_iter()
                        .map(|(deadline, number)| (number, deadline)),
                );
                // Timers of this very moment may fire after this task has run.
                while fired.lock().len() < expected.len() {
                    selvedge::sleep(Duration::ZERO).await?;
                }
                let fired = fired.lock().clone();
                // In order of time; callbacks of one moment run concurrently.
                let mut in_order = fired.clone();
                in_order.sort_by_key(|&(number, at)| (at, number));
                assert!(fired.is_sorted_by_key(|&(_, at)| at), "{fired:?}");
                assert_eq!(in_order, expected);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_any_durations(steps in proptest::collection::vec(step(), 1..40)) {
        Runner::builder().workers(1).virtual_time(true).run(against_the_model(steps)).unwrap();
    }
}
