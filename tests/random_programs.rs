//! Random programs: each is differentiated by the macro and by dual numbers, which must agree.
//!
//! A program is generated from a seed, written once as `#[backprop] fn` and once over `Dual`, compiled with many others
//! in a scratch project under `target/tmp`, and run at three points. The value must have the same bits everywhere; each
//! entry of the gradient, from `value_and_gradient`, `backward` and `accumulate`, must be within 1e-12 of the sum of the
//! absolute terms that make it up. What fails is shrunk and printed in a form that can be run again.
//!
//! ```text
//! cargo test --test random_programs                            2000 programs: a minute on two cores, and less than
//!                                                              another to compile the macro when it changed
//! cargo test --release --test random_programs                  500 programs, compiled optimised, which takes longer
//! BACKPROP_RANDOM_PROGRAMS=20000                               as many
//! BACKPROP_RANDOM_SEED=7                                       others
//! BACKPROP_RANDOM_FEATURES=-while_loop,-data_index             without parts of the language (see features.rs)
//! BACKPROP_RANDOM_FEATURES=if_stmt,assign                      with these parts only
//! BACKPROP_RANDOM_OPTION='checkpoint = 3'                      under this option; with REJECTED=report, as it has nothing
//!                                                              to do in a program that keeps nothing
//! BACKPROP_RANDOM_REJECTED=report                              compile errors are counted and shown, but do not fail
//! BACKPROP_RANDOM_ONLY=17                                      program 17 of this seed, printed and run
//! BACKPROP_RANDOM_FILE=p.rs                                    one function from a file: the signature as printed,
//!                                                              points in lines such as `// Input { x: 0.5, … }`
//! BACKPROP_RANDOM_SHRINK=0                                     how many compilations to spend on a failure
//! BACKPROP_RANDOM_MACRO=/path/to/a/crate                       another crate named `backprop`
//! ```

#[path = "random_programs/ast.rs"]
mod ast;
#[path = "support/dual.rs"]
mod dual;
#[path = "random_programs/dual_tests.rs"]
mod dual_tests;
#[path = "random_programs/features.rs"]
mod features;
#[path = "random_programs/generate.rs"]
mod generate;
#[path = "random_programs/harness.rs"]
mod harness;
#[path = "random_programs/print.rs"]
mod print;
#[path = "random_programs/random.rs"]
mod random;
#[path = "random_programs/scope.rs"]
mod scope;
#[path = "random_programs/shrink.rs"]
mod shrink;
#[path = "random_programs/translate.rs"]
mod translate;

use ast::Program;
use features::Features;
use harness::{Job, Project, Verdict};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What the environment asks for.
struct Settings {
    programs: usize,
    seed: u64,
    features: Features,
    rejected_may_be: bool,
    only: Option<u64>,
    file: Option<PathBuf>,
    shrink: usize,
    backprop: PathBuf,
}

impl Settings {
    fn read() -> Settings {
        let get = |name: &str| env::var(format!("BACKPROP_RANDOM_{name}")).ok();
        let number = |name: &str| {
            get(name).map(|v| {
                v.parse::<u64>()
                    .unwrap_or_else(|e| panic!("{name}={v}: {e}"))
            })
        };
        Settings {
            programs: number("PROGRAMS").unwrap_or(if cfg!(debug_assertions) { 2000 } else { 500 })
                as usize,
            seed: number("SEED").unwrap_or(1),
            features: Features::parse(&get("FEATURES").unwrap_or_default())
                .unwrap_or_else(|e| panic!("{e}")),
            rejected_may_be: get("REJECTED").is_some_and(|v| v == "report"),
            only: number("ONLY"),
            file: get("FILE").map(PathBuf::from),
            shrink: number("SHRINK").unwrap_or(40) as usize,
            backprop: get("MACRO")
                .unwrap_or(env!("CARGO_MANIFEST_DIR").to_owned())
                .into(),
        }
    }

    fn project(&self, name: &str, chunk: usize) -> Project {
        let release = !cfg!(debug_assertions);
        Project::new(
            &Path::new(env!("CARGO_TARGET_TMPDIR")).join(name),
            &self.backprop,
            release,
            chunk,
        )
    }
}

fn job(program: &Program, name: String) -> Job {
    let text = print::program(program, &name);
    Job {
        name,
        text,
        inputs: program.inputs.iter().map(print::input).collect(),
    }
}

/// A function and its inputs, as `Settings::file` wants them.
fn show(job: &Job) -> String {
    let inputs: String = job.inputs.iter().map(|i| format!("// {i}\n")).collect();
    inputs + &job.text
}

fn from_file(path: &Path) -> Job {
    let file = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (inputs, lines): (Vec<&str>, Vec<&str>) =
        file.lines().partition(|l| l.starts_with("// Input {"));
    let text = lines.join("\n");
    let text = text[text.find("fn ").expect("a function")..].to_owned();
    let name = text["fn ".len()..text.find('(').expect("parameters")]
        .trim()
        .to_owned();
    Job {
        name,
        text,
        inputs: inputs.iter().map(|i| i["// ".len()..].to_owned()).collect(),
    }
}

#[test]
fn random_programs_have_the_reference_gradient() {
    let settings = Settings::read();
    if let Some(path) = &settings.file {
        let job = from_file(path);
        let verdict = settings
            .project("one-program", 1)
            .run(std::slice::from_ref(&job))
            .remove(0);
        println!("{}\n{verdict:?}", show(&job));
        assert!(!failed(&verdict));
        return;
    }
    let range = settings
        .only
        .map_or(0..settings.programs as u64, |i| i..i + 1);
    let programs: Vec<Program> = range
        .clone()
        .map(|i| generate::program(settings.seed, i, settings.features))
        .collect();
    let jobs: Vec<Job> = programs
        .iter()
        .zip(range)
        .map(|(p, i)| job(p, format!("p{i}")))
        .collect();
    if settings.only.is_some() {
        println!("{}", show(&jobs[0]));
    }
    let verdicts = settings.project("random-programs", 200).run(&jobs);
    let failures = summary(&settings, &jobs, &verdicts);
    for (kind, i) in failures.iter().take(5) {
        report(&settings, kind, &programs[*i], &jobs[*i], &verdicts[*i]);
    }
    assert!(
        failures.is_empty(),
        "{} kinds of failure, shown above",
        failures.len()
    );
    let skipped = verdicts
        .iter()
        .filter(|v| matches!(v, Verdict::Skipped(_)))
        .count();
    assert!(
        skipped * 20 <= jobs.len().max(100),
        "{skipped} programs decide nothing: the generator lost its bounds"
    );
}

/// The test can fail: with one wrong row in the compiler's table of rules, programs disagree with the reference.
#[test]
fn a_wrong_rule_is_found() {
    let settings = Settings::read();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let broken = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong-rule");
    // A file that the project no longer has may be there from an earlier run.
    if broken.exists() {
        fs::remove_dir_all(&broken).expect("a scratch directory");
    }
    for part in [
        "Cargo.toml",
        "README.md",
        "src",
        "backprop-macro",
        "backprop-runtime",
        "benches",
        "examples",
    ] {
        copy(&root.join(part), &broken.join(part));
    }
    let table = broken.join("backprop-macro/src/rules.rs");
    let text = fs::read_to_string(&table).expect("the table");
    let (right, wrong) = ("=> [dy * b, dy * a]  ", "=> [dy * b, dy * b]  ");
    assert_eq!(text.matches(right).count(), 1, "the row of the product");
    fs::write(&table, text.replace(right, wrong)).expect("the copy can be written");
    let jobs: Vec<Job> = (0..20)
        .map(|i| {
            let program = generate::program(settings.seed, i, settings.features);
            job(&program, format!("p{i}"))
        })
        .collect();
    let project = Project::new(
        &Path::new(env!("CARGO_TARGET_TMPDIR")).join("random-programs-of-a-wrong-rule"),
        &broken,
        !cfg!(debug_assertions),
        20,
    );
    let verdicts = project.run(&jobs);
    let wrong = verdicts.iter().filter(|v| matches!(v, Verdict::Wrong(_)));
    let count = wrong.count();
    assert!(
        count >= 5,
        "only {count} of 20 programs see the wrong rule: {verdicts:?}"
    );
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a scratch directory");
        for entry in fs::read_dir(from).expect("a directory") {
            let entry = entry.expect("an entry").path();
            copy(&entry, &to.join(entry.file_name().expect("a name")));
        }
    } else if fs::read(from).ok() != fs::read(to).ok() {
        fs::create_dir_all(to.parent().expect("a parent")).expect("a scratch directory");
        fs::copy(from, to).expect("a copy");
    }
}

fn failed(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Wrong(_) | Verdict::Rejected(_) | Verdict::Broken(_)
    )
}

/// Prints how many programs got which verdict; the first program of each kind of failure.
fn summary(settings: &Settings, jobs: &[Job], verdicts: &[Verdict]) -> Vec<(String, usize)> {
    let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, verdict) in verdicts.iter().enumerate() {
        let reason = match verdict {
            Verdict::Partly(why) | Verdict::Skipped(why) => format!("{} ({why})", verdict.kind()),
            Verdict::Wrong(_) | Verdict::Rejected(_) => format!("failure: {}", verdict.kind()),
            _ => verdict.kind(),
        };
        kinds.entry(reason).or_default().push(i);
    }
    println!("{} programs of seed {}:", jobs.len(), settings.seed);
    let mut failures = Vec::new();
    for (kind, members) in kinds {
        println!("{:6}  {kind}", members.len());
        let shortest = *members
            .iter()
            .min_by_key(|&&i| jobs[i].text.len())
            .expect("members");
        match &verdicts[shortest] {
            Verdict::Rejected(text) if settings.rejected_may_be => {
                println!("{text}\n{}", show(&jobs[shortest]))
            }
            verdict if failed(verdict) => failures.push((kind, shortest)),
            _ => {}
        }
    }
    // What compiles and is wrong comes first.
    failures.sort_by_key(|(_, i)| !matches!(verdicts[*i], Verdict::Wrong(_)));
    failures
}

/// Shrinks a failing program and prints both.
fn report(settings: &Settings, kind: &str, program: &Program, first: &Job, verdict: &Verdict) {
    println!("\n==== {kind}\n{verdict:?}\n{}", show(first));
    if settings.shrink == 0 || matches!(verdict, Verdict::Broken(_)) {
        return;
    }
    let project = settings.project("shrinking", 30);
    let judge = |programs: &[Program]| {
        let jobs: Vec<Job> = programs
            .iter()
            .enumerate()
            .map(|(i, p)| job(p, format!("p{i}")))
            .collect();
        project.run(&jobs)
    };
    let same = |programs: &[Program]| {
        judge(programs)
            .iter()
            .map(|v| v.kind() == verdict.kind())
            .collect()
    };
    let smallest = shrink::minimise(program.clone(), settings.shrink, same);
    let text = match judge(std::slice::from_ref(&smallest)).remove(0) {
        Verdict::Wrong(text) | Verdict::Rejected(text) => text,
        other => format!("{other:?}"),
    };
    println!(
        "---- shrunk\n{text}\n{}",
        show(&job(&smallest, first.name.clone()))
    );
}
