//! Compiles and runs programs: a macro can only be tested by a compiler.
//!
//! In: functions as text, with inputs. Out: a verdict for each. Must hold: a program that does not compile or that
//! crashes leaves the verdicts of the others alone; the project that is written depends on nothing but `backprop`.

use super::translate::to_dual;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// A function as the user writes it, and the points at which to run it, as expressions of type `compare::Input`.
#[derive(Clone)]
pub struct Job {
    pub name: String,
    pub text: String,
    pub inputs: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Agrees,
    /// Agrees where it can be judged, but some points cannot.
    Partly(String),
    Skipped(String),
    Wrong(String),
    /// The compiler refused what came out of the macro, or the macro refused the program.
    Rejected(String),
    /// The program itself is no Rust: the generator's fault, or the shrinker's.
    Broken(String),
}

impl Verdict {
    /// What two failures of the same cause have in common.
    pub fn kind(&self) -> String {
        match self {
            Verdict::Wrong(text) => text.split(':').next().unwrap_or_default().to_owned(),
            Verdict::Rejected(text) => without_names(text.lines().next().unwrap_or_default()),
            other => format!("{other:?}")
                .split('(')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// The message without what varies from program to program: quoted code and numbers.
fn without_names(message: &str) -> String {
    let quoted = message
        .split('`')
        .enumerate()
        .map(|(i, part)| if i % 2 == 1 { "…" } else { part });
    quoted
        .collect::<Vec<_>>()
        .join("`")
        .split(|c: char| c.is_ascii_digit())
        .collect()
}

/// A scratch project, whose dependencies stay compiled from one run to the next.
pub struct Project {
    dir: PathBuf,
    release: bool,
    /// How many programs share a binary.
    chunk: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Reference,
    Annotated,
}

/// A generated file and whose lines are whose.
#[derive(Default)]
struct Source {
    text: String,
    lines: Vec<(usize, usize, Part)>,
}

impl Source {
    fn push(&mut self, text: &str, job: usize, part: Part) {
        let line = self.text.lines().count() + 1;
        self.lines.push((line, job, part));
        self.text.push_str(text);
    }

    fn owner(&self, line: usize) -> Option<(usize, Part)> {
        let after = self.lines.partition_point(|(first, ..)| *first <= line);
        self.lines[..after]
            .last()
            .map(|(_, job, part)| (*job, *part))
    }
}

impl Project {
    /// A project in `dir`, for the macro of the crate at `backprop`.
    pub fn new(dir: &Path, backprop: &Path, release: bool, chunk: usize) -> Project {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let manifest = format!(
            "[package]\nname = \"scratch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nbackprop = {{ path = {backprop:?}, default-features = false }}\n\n\
             [workspace]\n\n[profile.dev]\ndebug = false\nincremental = false\n\n\
             [profile.dev.build-override]\nopt-level = 1\n\n[profile.release]\nincremental = false\n"
        );
        let library = format!(
            "#[path = {:?}]\npub mod compare;\n#[path = {:?}]\npub mod dual;\n",
            tests.join("random_programs/compare.rs"),
            tests.join("support/dual.rs"),
        );
        write(&dir.join("Cargo.toml"), &manifest);
        write(&dir.join("src/lib.rs"), &library);
        if let Ok(lock) = fs::read_to_string(backprop.join("Cargo.lock")) {
            // The same versions as the workspace, but cargo drops from its copy what it does not need.
            let known = dir.join("workspace.lock");
            if fs::read_to_string(&known).ok().as_ref() != Some(&lock) {
                write(&dir.join("Cargo.lock"), &lock);
                write(&known, &lock);
            }
        }
        Project {
            dir: dir.to_owned(),
            release,
            chunk,
        }
    }

    pub fn run(&self, jobs: &[Job]) -> Vec<Verdict> {
        let mut verdicts: Vec<Option<Verdict>> = vec![None; jobs.len()];
        let chunks = jobs.len().div_ceil(self.chunk);
        // Names are removed and errors of types appear; types are mended and errors of borrows appear.
        for _ in 0..12 {
            let sources = self.write(jobs, &verdicts, chunks);
            let output = self.cargo();
            if output.status.success() {
                break;
            }
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            let refused = attribute(&errors, &sources);
            assert!(
                !refused.is_empty(),
                "the scratch project does not compile:\n{errors}"
            );
            for (job, (part, message)) in refused {
                verdicts[job] = Some(match part {
                    Part::Reference => Verdict::Broken(message),
                    Part::Annotated => Verdict::Rejected(message),
                });
            }
        }
        for chunk in 0..chunks {
            self.execute(chunk, jobs, &mut verdicts);
        }
        verdicts
            .into_iter()
            .map(|v| v.unwrap_or(Verdict::Broken("no verdict".to_owned())))
            .collect()
    }

    /// Writes the programs that still have no verdict.
    fn write(
        &self,
        jobs: &[Job],
        verdicts: &[Option<Verdict>],
        chunks: usize,
    ) -> HashMap<String, Source> {
        let mut sources = HashMap::new();
        let bins = self.dir.join("src/bin");
        for old in fs::read_dir(&bins).into_iter().flatten().flatten() {
            let known = |n: usize| old.file_name() == format!("chunk{n}.rs").as_str();
            if !(0..chunks).any(known) {
                let _ = fs::remove_file(old.path());
            }
        }
        // The option under test, for what it does not reject.
        let option = env::var("BACKPROP_RANDOM_OPTION");
        let option = option.map_or(String::new(), |o| format!("({o})"));
        for chunk in 0..chunks {
            let mut file = Source::default();
            let alive = self
                .members(chunk, jobs.len())
                .filter(|&i| verdicts[i].is_none());
            let alive: Vec<usize> = alive.collect();
            file.text.push_str("#![allow(warnings)]\nuse backprop::backprop;\n\nmod dual {\nuse scratch::dual::{Dual, c, cast};\n");
            for &job in &alive {
                let text = format!("pub {}\n", to_dual(&jobs[job].text));
                file.push(&text, job, Part::Reference);
            }
            file.text.push_str("}\n\n");
            for &job in &alive {
                file.push(
                    &format!("#[backprop{option}]\n{}\n", jobs[job].text),
                    job,
                    Part::Annotated,
                );
            }
            file.text
                .push_str("fn main() {\nscratch::compare::main(vec![\n");
            for &job in &alive {
                let Job { name, inputs, .. } = &jobs[job];
                let text = format!("scratch::program!({name}, [{}]),\n", inputs.join(", "));
                file.push(&text, job, Part::Annotated);
            }
            file.text.push_str("]);\n}\n");
            write(&bins.join(format!("chunk{chunk}.rs")), &file.text);
            sources.insert(format!("src/bin/chunk{chunk}.rs"), file);
        }
        sources
    }

    fn members(&self, chunk: usize, jobs: usize) -> std::ops::Range<usize> {
        chunk * self.chunk..jobs.min((chunk + 1) * self.chunk)
    }

    fn cargo(&self) -> Output {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        command.args([
            "build",
            "--offline",
            "--bins",
            "--keep-going",
            "--color=never",
            "--message-format=short",
        ]);
        command
            .current_dir(&self.dir)
            .arg("--target-dir")
            .arg(self.dir.join("target"));
        if self.release {
            command.arg("--release");
        }
        command.output().expect("cargo runs")
    }

    /// Runs the programs of a chunk, again after the one that took the process down.
    fn execute(&self, chunk: usize, jobs: &[Job], verdicts: &mut [Option<Verdict>]) {
        let profile = if self.release { "release" } else { "debug" };
        let binary = self
            .dir
            .join("target")
            .join(profile)
            .join(format!("chunk{chunk}{}", env::consts::EXE_SUFFIX));
        let mut waiting: Vec<usize> = self
            .members(chunk, jobs.len())
            .filter(|&i| verdicts[i].is_none())
            .collect();
        waiting.reverse();
        while !waiting.is_empty() {
            let skip = self
                .members(chunk, jobs.len())
                .filter(|i| !waiting.contains(i));
            let skip: Vec<&str> = skip.map(|i| jobs[i].name.as_str()).collect();
            let output = Command::new(&binary)
                .args(skip)
                .output()
                .expect("the compiled programs run");
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                let Some((name, verdict)) = line.split_once(' ') else {
                    continue;
                };
                let Some(job) = waiting.pop() else { break };
                assert_eq!(name, jobs[job].name, "the programs answer in order");
                verdicts[job] = Some(parse(verdict));
            }
            if let Some(job) = waiting.pop() {
                let error = String::from_utf8_lossy(&output.stderr).into_owned();
                verdicts[job] = Some(Verdict::Wrong(format!("crash: {}\n{error}", output.status)));
            }
        }
    }
}

fn parse(line: &str) -> Verdict {
    let (word, text) = line.split_once(' ').unwrap_or((line, ""));
    let text = text.replace('\x1f', "\n");
    match word {
        "ok" => Verdict::Agrees,
        "part" => Verdict::Partly(text),
        "skip" => Verdict::Skipped(text),
        _ => Verdict::Wrong(text),
    }
}

/// The first error of each program that has one; one of the reference counts before others.
fn attribute(errors: &str, sources: &HashMap<String, Source>) -> HashMap<usize, (Part, String)> {
    let mut found: HashMap<usize, (Part, String)> = HashMap::new();
    let mut current = None;
    for line in errors.lines() {
        let mut fields = line.splitn(4, ':');
        let place = (
            fields.next().and_then(|f| sources.get(f)),
            fields.next().and_then(|n| n.parse().ok()),
        );
        let message = fields.nth(1).map(str::trim).unwrap_or_default();
        match place {
            (Some(source), Some(line)) if message.starts_with("error") => {
                current = source.owner(line);
                let Some((job, part)) = current else { continue };
                match found.get(&job) {
                    Some((first, _)) if part == Part::Annotated || *first == Part::Reference => {
                        current = None
                    }
                    _ => _ = found.insert(job, (part, message.to_owned())),
                }
            }
            (Some(_), Some(_)) => current = None,
            // A message of several lines.
            _ => {
                if let Some((_, text)) = current.and_then(|(job, _)| found.get_mut(&job)) {
                    if line.starts_with("error") || line.starts_with("warning") || text.len() > 1500
                    {
                        current = None;
                    } else {
                        let _ = write!(text, "\n{line}");
                    }
                }
            }
        }
    }
    found
}

/// Writes a file unless it is there already, so that cargo does not compile it again.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    let dir = path.parent().expect("a file in a directory");
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(path, text))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
