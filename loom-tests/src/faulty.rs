//! How is the program built that has the faults?

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::models::MODELS;
use crate::patches::{self, COPIED, FAULTS, Files, Patch, root};

/// The copy of the workspace that has the faults.
const COPY: &str = "target-loom/copy";
/// Where its packages lie in it. cargo tells packages apart by their paths in the workspace: with
/// the same paths those of the copy would be taken for those that ship, in the target folder that
/// both share.
const PACKAGES: &str = "faulty";
/// As in the patch of this package's `Cargo.toml`.
const PROGRAM: &str = "selvedge-loom-faulty";

/// Builds this program a second time, with all faults in it, each of which an environment variable
/// switches on.
pub(crate) fn build() -> Result<PathBuf, String> {
    let patches = Patch::all()?;
    compare_names(&patches)?;
    let sources = patches::sources()?;
    let (faulty, rejected) = patches::apply(&patches, &sources);
    if !rejected.is_empty() {
        return Err(patches::complain(&rejected, &sources));
    }
    patches::write(&root().join(COPY), &moved(faulty))?;

    let own = std::env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "-p",
        env!("CARGO_PKG_NAME"),
        "--bin",
        PROGRAM,
        "--manifest-path",
    ]);
    cargo.arg(root().join(COPY).join("Cargo.toml"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    eprintln!("building the copy in {COPY}, which has the faults ...");
    let status =
        cargo.status().map_err(|error| format!("{}: {error}", Path::new(cargo.get_program()).display()))?;
    let program = own.with_file_name(PROGRAM).with_extension(std::env::consts::EXE_EXTENSION);
    if !status.success() {
        return Err(format!(
            "{COPY} cannot be built. Run `make faults-edit`, repair the fault, and run `make faults-save`."
        ));
    }
    if !program.exists() {
        return Err(format!("cargo has not put {} there: use `make loom`", program.display()));
    }
    Ok(program)
}

/// The workspace with its packages in another folder.
fn moved(workspace: Files) -> Files {
    let moved = workspace.into_iter().map(|(path, bytes)| match path.to_str() {
        Some("Cargo.lock") => (path, bytes),
        Some("Cargo.toml") => {
            let mut manifest = String::from_utf8_lossy(&bytes).into_owned();
            for folder in COPIED {
                for end in ["/", "\""] {
                    let quoted = format!("\"{folder}{end}");
                    manifest = manifest.replace(&quoted, &format!("\"{PACKAGES}/{}", &quoted[1..]));
                }
            }
            (path, manifest.into_bytes())
        }
        _ => (Path::new(PACKAGES).join(path), bytes),
    });
    moved.collect()
}

/// A fault must be in a patch, and some model must find it.
fn compare_names(patches: &[Patch]) -> Result<(), String> {
    let built_in = patches::faults(patches);
    let mut unknown = Vec::new();
    for model in MODELS {
        for fault in model.controls.iter().filter(|fault| !built_in.contains(*fault)) {
            unknown.push(format!(
                "The model `{}` is to find `{fault}`, which no patch in {FAULTS} builds in.",
                model.name
            ));
        }
    }
    for fault in built_in {
        if !MODELS.iter().any(|model| model.controls.contains(&fault)) {
            unknown.push(format!("A patch in {FAULTS} builds in `{fault}`, which no model is to find."));
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(unknown.join("\n")) }
}
