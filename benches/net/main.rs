//! Training steps of networks: this crate beside NumPy, PyTorch and JAX, on the same numbers, in one interleaved run.
//!
//! ```text
//! cargo bench --bench net                       # ours alone
//! cargo bench --bench net --features rayon      # and the macro's products on two threads, where the table has two
//! cargo bench --bench net -- --peers            # with the peers, in a virtual environment that it builds with pip
//! cargo bench --bench net -- --peers lecture f64 1    # one case, one format, one thread
//! ```
//!
//! Each contender is a process of its own, so that its memory is its own, and answers "run so many steps" with the time they took.
//! They take turns in short batches, so that a change of clock speed or a busy neighbour hits all of them; the table has
//! medians, the fastest batches, and the ratios of these. All compute the same losses; the run fails where they do not. `case.rs` has the sizes.
//!
//! A virtual environment in `BENCH_NET_VENV` is used as it is; where there is none, it is made there, otherwise below `target`, of some 6 GB.

mod case;
mod ours;
mod table;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use case::{CASES, Case};
use table::Row;

/// A contender: its name on the command line of the process that runs it, and in the table.
const OURS: &[(&str, &str)] = &[
    ("ndarray", "ndarray, by hand"),
    ("loops_by_hand", "loops, by hand"),
    ("loops_with_kernel", "loops, by hand, kernels' tanh"),
    ("by_hand", "kernels, by hand"),
    ("best_layout", "kernels, by hand, best layout"),
    ("tensors", "backprop: forward lines"),
    ("descent", "backprop: forward lines, descend_with"),
    ("layers", "backprop: layers"),
    ("loops", "backprop: loops"),
];
const PEERS: &[(&str, &str)] = &[
    ("numpy", "NumPy"),
    ("torch", "PyTorch, autograd"),
    ("torch_by_hand", "PyTorch, by hand"),
    ("jax", "JAX, jit"),
    ("jax_loop", "JAX, a loop inside jit"),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--serve") {
        serve(&args[1..]);
        return;
    }
    let timed = args.iter().any(|arg| arg == "--bench");
    let with_peers = args.iter().any(|arg| arg == "--peers");
    let quick = args.iter().any(|arg| arg == "--quick");
    let words: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    let wanted = |names: &[&str], of_all: &[&str]| {
        let asked: Vec<_> = words.iter().filter(|word| of_all.contains(word)).collect();
        asked.is_empty() || names.iter().any(|name| asked.contains(&name))
    };

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let python = with_peers.then(|| virtual_environment(folder));
    let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    let mut agree = true;
    // Without timing, as in tests, the large case shows nothing that the lecture's does not.
    let cases = CASES.iter().filter(|case| timed || case.name != "large");
    for case in cases.filter(|case| wanted(&[case.name], &names)) {
        let numbers = case.write(folder);
        for scalar in ["f64", "f32"]
            .into_iter()
            .filter(|scalar| wanted(&[scalar], &["f64", "f32"]))
        {
            // The tiny cases have nothing to share among threads.
            let threads: &[usize] = if case.is_tiny() || !timed {
                &[1]
            } else {
                &[1, 2]
            };
            for &threads in threads
                .iter()
                .filter(|threads| wanted(&[&threads.to_string()], &["1", "2"]))
            {
                let mut contenders = Vec::new();
                if let Some(python) = &python {
                    for (tool, title) in PEERS {
                        if applies_to(tool, case) {
                            contenders.push(Contender::peer(
                                python, tool, title, case, &numbers, scalar, threads,
                            ));
                        }
                    }
                }
                for (tool, title) in OURS {
                    if ours::contender::<f32>(tool, *case, 1).is_some() {
                        contenders.push(Contender::ours(tool, title, case, scalar, threads));
                    }
                }
                let budget = match (timed, quick) {
                    (false, _) => Duration::ZERO,
                    (true, true) => Duration::from_millis(300),
                    (true, false) => Duration::from_secs(2),
                };
                let (rows, same) = compare(contenders, case, scalar, budget);
                agree &= same;
                if timed {
                    table::print(
                        &format!("{}, {scalar}, {threads} thread(s)", case.name),
                        &rows,
                    );
                } else {
                    println!("{}, {scalar}: checked", case.name);
                }
            }
        }
    }
    if !agree {
        eprintln!("the losses differ");
        std::process::exit(1);
    }
}

/// Whether a peer has a form for the case.
fn applies_to(tool: &str, case: &Case) -> bool {
    match tool {
        "torch_by_hand" => !case.is_tiny(),
        "jax_loop" => case.is_tiny(),
        _ => true,
    }
}

/// Runs all contenders in turns, and says whether their losses agree.
fn compare(
    mut contenders: Vec<Contender>,
    case: &Case,
    scalar: &str,
    budget: Duration,
) -> (Vec<Row>, bool) {
    // The first steps warm up, and show the loss: as many for each, so that the weights are the same.
    let steps = if budget.is_zero() { 3 } else { 20 };
    let losses: Vec<f64> = contenders
        .iter_mut()
        .map(|contender| contender.run(steps).1)
        .collect();
    let tolerance = if scalar == "f64" { 1e-9 } else { 2e-3 };
    let reference = losses[0];
    let mut same = true;
    for (contender, loss) in contenders.iter().zip(&losses) {
        // Written so that NaN disagrees.
        let agrees = (loss - reference).abs() <= tolerance * reference.abs();
        if !agrees {
            println!(
                "{} {scalar}: {} has loss {loss:e}, {} {reference:e}",
                case.name, contender.title, contenders[0].title
            );
        }
        same &= agrees;
    }

    let mut batches: Vec<usize> = contenders
        .iter_mut()
        .map(|contender| batch_of(contender, budget))
        .collect();
    let mut times = vec![Vec::new(); contenders.len()];
    let start = Instant::now();
    let budget = budget * contenders.len() as u32;
    while start.elapsed() < budget {
        for ((contender, times), batch) in contenders.iter_mut().zip(&mut times).zip(&mut batches) {
            // The threads of the one before go to sleep.
            std::thread::sleep(Duration::from_millis(5));
            times.push(contender.run(*batch).0 / *batch as f64);
        }
    }
    let rows = contenders.into_iter().zip(times).map(|(contender, times)| {
        let (title, is_ours) = (contender.title.to_owned(), contender.is_ours);
        Row::new(title, is_ours, times, contender.finish())
    });
    (rows.collect(), same)
}

/// How many steps take about 10 ms.
fn batch_of(contender: &mut Contender, budget: Duration) -> usize {
    let mut batch = 1;
    while !budget.is_zero() && batch < 1 << 20 {
        let seconds = contender.run(batch).0;
        if seconds > 0.007 {
            break;
        }
        batch *= 2;
    }
    batch
}

/// A process that runs steps when it is told to.
struct Contender {
    title: &'static str,
    is_ours: bool,
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Contender {
    fn peer(
        python: &Path,
        tool: &str,
        title: &'static str,
        case: &Case,
        numbers: &Path,
        scalar: &str,
        threads: usize,
    ) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/net/peers.py");
        let widths: Vec<_> = case.widths.iter().map(usize::to_string).collect();
        let scalar = if scalar == "f64" {
            "float64"
        } else {
            "float32"
        };
        let mut command = Command::new(python);
        command.arg(script).arg(tool).arg(numbers);
        command.args([
            case.n.to_string(),
            widths.join(","),
            case.rate.to_string(),
            scalar.to_owned(),
            threads.to_string(),
        ]);
        Self::start(command, title, false)
    }

    fn ours(tool: &str, title: &'static str, case: &Case, scalar: &str, threads: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args(["--serve", tool, case.name, scalar, &threads.to_string()]);
        command.env("RAYON_NUM_THREADS", threads.to_string());
        Self::start(command, title, true)
    }

    fn start(mut command: Command, title: &'static str, is_ours: bool) -> Self {
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.unwrap_or_else(|error| panic!("{title} does not start: {error}"));
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut contender = Self {
            title,
            is_ours,
            process,
            answers,
        };
        assert_eq!(contender.answer(), "ready", "{title}");
        contender
    }

    /// Runs steps: the seconds they took, and the last loss.
    fn run(&mut self, steps: usize) -> (f64, f64) {
        let stdin = self.process.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{steps}").expect("the contender listens");
        let answer = self.answer();
        let mut numbers = answer
            .split_whitespace()
            .map(|number| number.parse().unwrap_or(f64::NAN));
        (
            numbers.next().unwrap_or(f64::NAN),
            numbers.next().unwrap_or(f64::NAN),
        )
    }

    /// Ends the process: the peak of its memory, in bytes.
    fn finish(mut self) -> f64 {
        drop(self.process.stdin.take());
        let peak = self.answer().parse().unwrap_or(f64::NAN);
        let _ = self.process.wait();
        peak
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .expect("the contender answers");
        line.trim().to_owned()
    }
}

/// The other side of [`Contender::ours`].
fn serve(args: &[String]) {
    let [tool, case, scalar, threads] = args else {
        panic!("--serve TOOL CASE SCALAR THREADS");
    };
    let (case, threads) = (
        Case::named(case),
        threads.parse().expect("a number of threads"),
    );
    let mut run = match scalar.as_str() {
        "f64" => ours::contender::<f64>(tool, case, threads),
        _ => ours::contender::<f32>(tool, case, threads),
    }
    .expect("the contender runs this case");
    println!("ready");
    for line in std::io::stdin().lines() {
        let steps = line
            .expect("lines of text")
            .parse()
            .expect("a number of steps");
        let start = Instant::now();
        let loss = run(steps);
        println!("{} {loss:e}", start.elapsed().as_secs_f64());
    }
    println!("{}", table::peak_memory());
}

/// The Python of the virtual environment with the peers, which is made if it is not there.
fn virtual_environment(folder: &Path) -> PathBuf {
    let given = std::env::var_os("BENCH_NET_VENV").map(PathBuf::from);
    let venv = given.clone().unwrap_or_else(|| folder.join("net-venv"));
    let python = venv.join("bin/python");
    let complete = venv.join("complete");
    if complete.exists() || (given.is_some() && python.exists()) {
        return python;
    }
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/net/requirements.txt");
    let run = |command: &mut Command| {
        eprintln!("{command:?}");
        let status = command
            .status()
            .expect("Python 3 with venv and pip is installed");
        assert!(
            status.success(),
            "the virtual environment could not be made"
        );
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--no-cache-dir", "-r"])
        .arg(requirements));
    std::fs::write(complete, "").expect("the virtual environment can be written to");
    python
}
