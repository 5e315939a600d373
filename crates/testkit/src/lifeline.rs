//! Ends what a test process has started when that process ends, however it ends.
//!
//! What is held in a static is never dropped, and a test process that is killed
//! drops nothing at all. So a shell of its own reads the numbers of processes
//! from a pipe, forgets those that were seen to end, and kills what is left once
//! the pipe is closed, with the folders that were named.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Reads `+ PID`, `- PID` and `d FOLDER`. An interrupt from the terminal reaches
/// it as well as the tests, and must not end it first.
const KEEPER: &str = r#"
trap '' INT TERM HUP
live=
while read -r sign what; do
  case $sign in
    +) live="$live $what" ;;
    -) rest=
       for pid in $live; do [ "$pid" = "$what" ] || rest="$rest $pid"; done
       live=$rest ;;
    d) set -- "$@" "$what" ;;
  esac
done
[ -z "$live" ] || kill -s KILL $live
# Folders are removed once nobody writes into them, or nearly so.
for turn in 1 2 3 4 5 6 7 8 9 10; do kill -0 $live || break; sleep 0.2; done
[ $# = 0 ] || rm -rf "$@"
"#;

struct Keeper {
    input: ChildStdin,
    /// Never waited for: it ends after this process.
    _shell: Child,
}

/// A process that ends with this one.
#[derive(Debug)]
pub struct Lifeline(Option<u32>);

impl Lifeline {
    /// Ends this child with the process that runs the tests, unless it has been
    /// seen to end.
    #[must_use]
    pub fn of(pid: Option<u32>) -> Self {
        if let Some(pid) = pid {
            tell(&format!("+ {pid}\n"));
        }
        Self(pid)
    }
}

/// Its child has been seen to end, or was killed.
impl Drop for Lifeline {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            tell(&format!("- {pid}\n"));
        }
    }
}

/// Removes a folder once this process has ended.
pub fn remove_at_end(folder: &Path) {
    tell(&format!("d {}\n", folder.display()));
}

fn tell(line: &str) {
    static KEEPER: OnceLock<Option<Mutex<Keeper>>> = OnceLock::new();
    // Without a shell nothing is kept, as if this module were not there.
    if let Some(keeper) = KEEPER.get_or_init(start) {
        let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = keeper.input.write_all(line.as_bytes());
    }
}

fn start() -> Option<Mutex<Keeper>> {
    let shell = Command::new("sh")
        .args(["-c", KEEPER, "sh"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut shell = shell.ok()?;
    let input = shell.stdin.take()?;
    Some(Mutex::new(Keeper {
        input,
        _shell: shell,
    }))
}
