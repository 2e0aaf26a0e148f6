//! How are the counts written in Prometheus' text format?
//!
//! Version 0.0.4 of the format: for each family a help line, a type line, and a line for each
//! series.

use std::fmt::{self, Display, Write};

use selvedge::{Metrics, WorkerMetrics};

use crate::counts::{BOUNDS_MS, Counts, Route};

pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn exposition(counts: &Counts, metrics: &Metrics) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_requests(&mut text, counts);
    let _ = write_scheduler(&mut text, metrics);
    let _ = write_workers(&mut text, &metrics.workers);
    text
}

fn write_requests(out: &mut String, counts: &Counts) -> fmt::Result {
    head(out, "tiles_requests_total", "counter", "Requests that were answered, by the kind of status.")?;
    for route in Route::ALL {
        for (status, count) in counts.of(route).statuses() {
            let route = route.name();
            writeln!(out, "tiles_requests_total{{route=\"{route}\",status=\"{status}\"}} {count}")?;
        }
    }
    let name = "tiles_request_duration_seconds";
    head(out, name, "histogram", "From a request's head to its answer, sending not included.")?;
    for route in Route::ALL {
        let (of, route) = (counts.of(route), route.name());
        let cumulative = of.cumulative();
        for (bound, count) in BOUNDS_MS.iter().zip(&cumulative) {
            writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"{}\"}} {count}", bound / 1e3)?;
        }
        let all = cumulative[BOUNDS_MS.len()];
        writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {all}")?;
        writeln!(out, "{name}_sum{{route=\"{route}\"}} {}", of.seconds())?;
        writeln!(out, "{name}_count{{route=\"{route}\"}} {all}")?;
    }
    one(out, "tiles_connections_total", "counter", "Connections that were accepted.", counts.connections())?;
    one(out, "tiles_connections_open", "gauge", "Connections at present.", counts.connections_open())?;
    let help = "Connections that ended by an error: malformed, too slow, or gone in the middle.";
    one(out, "tiles_connections_failed_total", "counter", help, counts.connections_failed())
}

fn write_scheduler(out: &mut String, metrics: &Metrics) -> fmt::Result {
    one(out, "selvedge_tasks_alive", "gauge", "Tasks that are not done.", metrics.tasks_alive)?;
    one(
        out,
        "selvedge_injector_len",
        "gauge",
        "Tasks in the queue that no worker owns.",
        metrics.injector_len,
    )?;
    one(
        out,
        "selvedge_cpu_bound_len",
        "gauge",
        "Cpu-bound tasks that wait for their turn.",
        metrics.cpu_bound_len,
    )?;
    let help = "How often a thread was lent to run light tasks.";
    one(out, "selvedge_standbys_lent_total", "counter", help, metrics.standbys_lent)?;
    one(
        out,
        "selvedge_workers_active",
        "gauge",
        "Workers at present, standbys included.",
        metrics.workers_active,
    )?;
    one(
        out,
        "selvedge_computing_threads",
        "gauge",
        "Threads at present that only compute.",
        metrics.computing_threads,
    )?;
    let help = "How often a worker's thread became a computing thread.";
    one(out, "selvedge_demotions_total", "counter", help, metrics.demotions)?;
    let help = "How often the system refused to lower a thread's priority.";
    one(out, "selvedge_niceness_refused_total", "counter", help, metrics.niceness_refused)?;
    one(out, "selvedge_pool_threads", "gauge", "Threads of the pool at present.", metrics.pool_threads)?;
    let help = "Blocking jobs that wait for a thread.";
    one(out, "selvedge_blocking_queue", "gauge", help, metrics.blocking_queue)?;
    one(out, "selvedge_timers_armed", "gauge", "Armed timers.", metrics.timers_armed)?;
    one(out, "selvedge_sockets", "gauge", "Sockets that are open.", metrics.sockets)
}

fn write_workers(out: &mut String, workers: &[WorkerMetrics]) -> fmt::Result {
    type Series = (&'static str, &'static str, &'static str, fn(&WorkerMetrics) -> u64);
    const SERIES: [Series; 10] = [
        ("polls_total", "counter", "Polls of tasks that were begun.", |worker| worker.polls),
        ("cpu_bound_polls_total", "counter", "Polls of cpu-bound tasks.", |worker| worker.cpu_bound_polls),
        ("long_polls_total", "counter", "Polls of a millisecond and longer, about.", |worker| {
            worker.long_polls
        }),
        ("steals_total", "counter", "Batches of tasks stolen from other workers.", |worker| worker.steals),
        ("parks_total", "counter", "How often the worker went to sleep.", |worker| worker.parks),
        ("sockets_ready_total", "counter", "Waits for sockets that it ended.", |worker| worker.sockets_ready),
        ("queue_len", "gauge", "Tasks in its queue.", |worker| worker.queue_len as u64),
        ("active", "gauge", "1: somebody works here.", |worker| worker.is_active.into()),
        ("computing", "gauge", "1: a thread here only computes.", |worker| worker.is_computing.into()),
        ("standby", "gauge", "1: a place for standbys.", |worker| worker.is_standby.into()),
    ];
    for (name, kind, help, value) in SERIES {
        let name = format!("selvedge_worker_{name}");
        head(out, &name, kind, help)?;
        for (index, worker) in workers.iter().enumerate() {
            writeln!(out, "{name}{{worker=\"{index}\"}} {}", value(worker))?;
        }
    }
    Ok(())
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn one(out: &mut String, name: &str, kind: &str, help: &str, value: impl Display) -> fmt::Result {
    head(out, name, kind, help)?;
    writeln!(out, "{name} {value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    /// Each series is below its family's head, no family has two heads, and each line ends in a
    /// number.
    #[test]
    fn the_text_is_what_prometheus_reads() {
        let counts = Counts::default();
        counts.answered(Route::Tile, 200, Duration::from_millis(30));
        let mut metrics = Metrics::default();
        metrics.workers.push(WorkerMetrics::default());
        let text = exposition(&counts, &metrics);
        let (mut family, mut families) = (String::new(), HashSet::new());
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("# TYPE ") {
                let (name, kind) = head.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(families.insert(name.to_owned()), "{name} has two heads");
                name.clone_into(&mut family);
            } else if !line.starts_with("# HELP ") {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert!(series.starts_with(&family), "{line} stands below {family}");
            }
        }
        let bucket = "tiles_request_duration_seconds_bucket{route=\"tile\",le=";
        assert!(text.contains(&format!("{bucket}\"0.025\"}} 0\n")), "{text}");
        assert!(text.contains(&format!("{bucket}\"0.05\"}} 1\n")), "{text}");
        assert!(text.contains(&format!("{bucket}\"+Inf\"}} 1\n")), "{text}");
        assert!(text.contains("selvedge_worker_polls_total{worker=\"0\"} 0\n"), "{text}");
    }

    /// A name that is misspelled there would show nothing, without an error.
    #[test]
    fn the_dashboard_reads_series_that_exist() {
        let mut metrics = Metrics::default();
        metrics.workers.push(WorkerMetrics::default());
        let text = exposition(&Counts::default(), &metrics);
        let page = include_str!("web/dashboard.html");
        let names: HashSet<_> = page
            .split('"')
            .filter(|name| name.starts_with("selvedge_") || name.starts_with("tiles_"))
            .collect();
        assert!(names.len() > 10, "only {names:?}");
        for name in names {
            // A histogram's series are below its name.
            let family = name.trim_end_matches("_bucket");
            assert!(text.contains(&format!("# TYPE {family} ")), "{name} is read and not written");
        }
    }
}
