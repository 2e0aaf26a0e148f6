//! Do the pages work in a real browser? Skipped, with a message, where there is no Chromium.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::serving::Serving;

/// How much virtual time passes for the page, without its waits for the server.
const BUDGET: &str = "--virtual-time-budget=6000";

/// The page when that time is over. `None`: there is no browser.
fn page(serving: &Serving, path: &str) -> Option<String> {
    let Some(browser) = browser() else {
        eprintln!("skipped: no chromium on this machine");
        return None;
    };
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--window-size=900,700",
            BUDGET,
            "--dump-dom",
        ])
        // The pages are our own. Chromium refuses its sandbox to root, which runs the tests in a
        // container.
        .arg("--no-sandbox")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{}{path}", serving.addr))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !dom.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(dom)
}

fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// The value of an attribute of the body.
fn data(dom: &str, name: &str) -> Option<String> {
    let body = dom.split("<body ").nth(1)?.split('>').next()?;
    Some(body.split(&format!("data-{name}=\"")).nth(1)?.split('"').next()?.to_owned())
}

fn has_tile(dom: &str, tile: &str) -> bool {
    dom.split("<img").any(|image| {
        let image = image.split('>').next().unwrap_or_default();
        image.contains(&format!("src=\"/tile/{tile}.png\"")) && image.contains("data-state=\"load\"")
    })
}

#[test]
fn the_map_shows_its_tiles() {
    let serving = Serving::start(&[]);
    let Some(dom) = page(&serving, "/") else { return };
    // A window smaller than four by four tiles shows all of level 2.
    assert_eq!(data(&dom, "failed").as_deref(), Some("0"), "{dom}");
    let loaded: u32 = data(&dom, "loaded").expect("all visible tiles have come").parse().unwrap();
    assert!((6..=16).contains(&loaded), "{loaded} tiles");
    assert!(has_tile(&dom, "2/1/1") && has_tile(&dom, "2/2/2"), "{dom}");
}

#[test]
fn the_address_names_a_place() {
    let serving = Serving::start(&[]);
    let Some(dom) = page(&serving, "/#5/0.25/0.75") else { return };
    assert_eq!(data(&dom, "view").as_deref(), Some("5/0.25/0.75"));
    assert_eq!(data(&dom, "failed").as_deref(), Some("0"));
    assert!(has_tile(&dom, "5/8/24"), "{dom}");
    assert!(!has_tile(&dom, "5/16/16"), "only what is seen is asked for");
}

/// Two levels down and one tile to the right: the address and the tiles agree with the pressed
/// keys.
#[test]
fn keys_zoom_and_pan() {
    let serving = Serving::start(&[]);
    let Some(dom) = page(&serving, "/?keys=+,+,ArrowRight#2/0.5/0.5") else { return };
    assert_eq!(data(&dom, "view").as_deref(), Some("4/0.5625/0.5"));
    assert_eq!(data(&dom, "failed").as_deref(), Some("0"));
    assert!(has_tile(&dom, "4/10/8"), "{dom}");
    assert!(!dom.contains("src=\"/tile/2/"), "what lies below has been taken away");
}

#[test]
fn the_dashboard_shows_numbers() {
    let serving = Serving::start(&[]);
    let Some(dom) = page(&serving, "/dashboard") else { return };
    let updates: u32 = data(&dom, "updates").expect("it has read the metrics").parse().unwrap();
    assert!(updates >= 2, "{updates} updates");
    let cards = dom.split("id=\"cards\"").nth(1).unwrap();
    let card = |title: &str| {
        let card =
            cards.split(&format!("data-card=\"{title}\"")).nth(1).unwrap_or_else(|| panic!("{title}: {dom}"));
        card.split("<b>").nth(1).unwrap().split("</b>").next().unwrap().to_owned()
    };
    assert_eq!(card("workers active"), "2");
    assert!(card("requests/s").parse::<f64>().unwrap() > 0.0, "its own");
    let workers = dom.split("id=\"workers\"").nth(1).unwrap().split("</table>").next().unwrap();
    // The head, and at least two workers.
    assert!(workers.matches("<tr>").count() >= 3, "{workers}");
    assert!(workers.contains("<td>yes</td>"), "{workers}");
}
