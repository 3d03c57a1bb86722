//! rsync, from its daemon or over ssh, by the system's `rsync` as a child.
//!
//! The child works in a folder of its own beside the body, where the body of before waits under the name of the new one:
//! what is equal does not travel, and a file of equal size and time is "not modified". Its environment is empty but for
//! the password; what it may not do stands in its arguments, what it cannot do in [`child`]. Of the URL only the
//! configuration's own words reach it, and of a name that was judged only the address. Never: `--inplace` (it may not match
//! what it has overwritten), a password in an argument.

use std::ffi::OsString;
use std::fs::{File, FileTimes, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use reqwest::Url;
use tempfile::{NamedTempFile, TempDir};

use super::problem::Problem;
use super::reach::addresses;
use super::{Answered, Ask, Got, Trouble, not_modified};
use crate::config::{Transport, shown_url};
use crate::feed::secret::key_file;
use crate::store::Validators;

mod child;
mod said;

use child::{Ended, Job};

/// Of a host's addresses so many are tried.
const ADDRESSES: usize = 3;

/// Octets of a block: of a list with a change every few hundred octets, larger ones are hardly ever equal.
const BLOCK: &str = "512";

pub(super) async fn get(ask: &Ask<'_>, body: NamedTempFile) -> Result<Got, (Problem, NamedTempFile)> {
    let _turn = ask.turns.take(ask.url).await;
    if let Some(problem) = ask.rests.refuses(ask.url, ask.url) {
        return Err((problem, body));
    }
    let began = Instant::now();
    let brought = match transfer(ask, body.path()).await {
        Ok(brought) => brought,
        Err(problem) => return Err((problem, body)),
    };
    let answered = Answered {
        url: shown_url(ask.url),
        remote: None,
        status: None,
        took: began.elapsed(),
        before: Vec::new(),
    };
    let Some(Brought { folder, copy, validators, received }) = brought else {
        return Ok(not_modified(ask, answered));
    };
    let moved = match replace(&body, &copy) {
        Ok(file) => file,
        Err(error) => return Err((Problem::unwritten(&error), body)),
    };
    drop(folder);
    let (_, path) = body.into_parts();
    Ok(Got::Body {
        body: NamedTempFile::from_parts(moved, path),
        validators,
        received,
        complete: true,
        answered,
    })
}

/// Puts the copy in the place of `body`, as its owner's.
fn replace(body: &NamedTempFile, copy: &Path) -> std::io::Result<File> {
    let before = body.as_file().metadata()?;
    let file = File::options().read(true).write(true).open(copy)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        std::os::unix::fs::chown(copy, Some(before.uid()), Some(before.gid()))?;
    }
    std::fs::rename(copy, body.path())?;
    Ok(file)
}

/// A new copy, in a folder that goes with it.
struct Brought {
    folder: TempDir,
    copy: PathBuf,
    validators: Validators,
    received: u64,
}

/// `None`: what is known is what there is.
async fn transfer(ask: &Ask<'_>, beside: &Path) -> Result<Option<Brought>, Problem> {
    let daemon = Transport::of(ask.url) == Some(Transport::Rsync);
    let program = child::find("rsync")?;
    let found = addresses(ask.url, ask.list.allow_private).await?;
    let mut last = Problem::unreached("its host has no address");
    // ssh asks its own configuration about names, and the host's key tells whether it is the right one.
    let tried: Vec<Option<IpAddr>> =
        if daemon { found.into_iter().take(ADDRESSES).map(Some).collect() } else { vec![None] };
    for address in tried {
        match attempt(ask, beside, &program, address).await {
            Err(problem) if problem.trouble == Trouble::Unreached => last = problem,
            done => return done,
        }
    }
    Err(last)
}

async fn attempt(
    ask: &Ask<'_>,
    beside: &Path,
    program: &Path,
    address: Option<IpAddr>,
) -> Result<Option<Brought>, Problem> {
    let own = |error: std::io::Error| Problem::own(&error);
    let folder = folder(beside).map_err(own)?;
    let copy = folder.path().join("body");
    let is_known = prepare(&copy, ask).map_err(own)?;
    let (arguments, environment) = match address {
        Some(address) => (daemon_arguments(ask, address), daemon_environment(ask)?),
        None => (ssh_arguments(ask)?, Vec::new()),
    };
    let mut all = common_arguments(ask);
    if !is_known {
        all.push("--ignore-times".into());
    }
    all.extend(arguments);
    all.push(copy.clone().into());
    let job = Job {
        program,
        arguments: &all,
        environment: &environment,
        folder: folder.path(),
        max_size: ask.list.max_size,
        total: ask.times.total,
        progress: ask.progress,
    };
    let ended = child::run(&job).await?;
    let moved = outcome(&ended, ask)?;
    let after = std::fs::metadata(&copy).map_err(own)?;
    if after.len() > ask.list.max_size {
        return Err(Problem::too_large(ask.list.max_size));
    }
    if !moved {
        return Ok(None);
    }
    let validators = Validators {
        url: shown_url(ask.url),
        from: None,
        etag: Some(etag(after.len(), after.mtime(), after.mtime_nsec())),
        last_modified: Timestamp::from_second(after.mtime()).ok().and_then(http_date),
    };
    let received = said::received(&ended.stdout).unwrap_or(after.len());
    Ok(Some(Brought { folder, copy, validators, received }))
}

/// Whether something new came; why not, when neither that nor "it is the same" is so.
fn outcome(ended: &Ended, ask: &Ask<'_>) -> Result<bool, Problem> {
    if ended.outgrown {
        return Err(Problem::too_large(ask.list.max_size));
    }
    if ended.code != Some(0) {
        return Err(said::problem(ended));
    }
    match said::item(&ended.stdout) {
        Some(said::Item::Moved) => Ok(true),
        Some(said::Item::Same) => Ok(false),
        // rsync steps over such without an error.
        None if said::is_over_size(&ended.stdout) => Err(Problem::too_large(ask.list.max_size)),
        None => Err(Problem::answered("it is no plain file there")),
    }
}

/// A folder beside the body; swept with it should this process be killed.
fn folder(beside: &Path) -> std::io::Result<TempDir> {
    let parent = beside.parent().unwrap_or_else(|| Path::new("."));
    let name = beside.file_name().unwrap_or_default();
    let permissions = Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(name).permissions(permissions).tempdir_in(parent)
}

/// The body of before where the new one is to be; true when it has the time that it had at its source: then rsync leaves it
/// alone when size and time are still those.
fn prepare(copy: &Path, ask: &Ask<'_>) -> std::io::Result<bool> {
    let file = File::options().write(true).create_new(true).open(copy)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    // No basis is no reason to stop: then everything travels.
    if let Some(basis) = ask.basis
        && std::fs::metadata(basis).is_ok_and(|found| found.is_file() && found.len() <= ask.list.max_size)
    {
        let mut basis = File::open(basis)?;
        std::io::copy(&mut basis, &mut &file)?;
    }
    let known = ask.validators.and_then(|known| read_etag(known.etag.as_deref()?));
    match known {
        Some((size, time)) if file.metadata()?.len() == size => {
            file.set_times(FileTimes::new().set_modified(time))?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Size and time of the file at its source.
fn etag(size: u64, seconds: i64, nanoseconds: i64) -> String {
    format!("{size}-{seconds}.{nanoseconds:09}")
}

fn read_etag(etag: &str) -> Option<(u64, SystemTime)> {
    let (size, time) = etag.split_once('-')?;
    let (seconds, nanoseconds) = time.split_once('.')?;
    let seconds: i64 = seconds.parse().ok()?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    // Files from before 1970 are rare, and files all the same.
    let begun = if seconds < 0 { UNIX_EPOCH.checked_sub(whole)? } else { UNIX_EPOCH.checked_add(whole)? };
    let nanoseconds = nanoseconds.parse().ok().filter(|&nanoseconds| nanoseconds < 1_000_000_000)?;
    Some((size.parse().ok()?, begun.checked_add(Duration::from_nanos(nanoseconds))?))
}

fn http_date(time: Timestamp) -> Option<String> {
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
}

fn seconds(time: Duration) -> u64 {
    time.as_secs().max(1)
}

fn common_arguments(ask: &Ask<'_>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["--times", "--no-motd", "--no-links", "--no-devices", "--no-specials", "-z", "-B", BLOCK]
            .into_iter()
            .map(Into::into)
            .collect();
    arguments.push(format!("--max-size={}", ask.list.max_size).into());
    arguments.push(format!("--timeout={}", seconds(ask.times.idle)).into());
    // A line for the file, also when nothing came, and what travelled in the end.
    arguments
        .extend(["-ii", "--out-format=%i", "--info=skip1", "--stats", "--no-human-readable"].map(Into::into));
    arguments
}

fn daemon_arguments(ask: &Ask<'_>, address: IpAddr) -> Vec<OsString> {
    let host = match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let port = ask.url.port().map_or_else(String::new, |port| format!(":{port}"));
    let contimeout = format!("--contimeout={}", seconds(ask.times.connect));
    vec![contimeout.into(), "--".into(), format!("rsync://{host}{port}{}", ask.url.path()).into()]
}

fn daemon_environment(ask: &Ask<'_>) -> Result<Vec<(&'static str, OsString)>, Problem> {
    let Some(secret) = ask.secret else {
        // Without one rsync would ask the terminal.
        return Ok(vec![("USER", "nobody".into()), ("RSYNC_PASSWORD", "".into())]);
    };
    let Some((user, password)) = secret.password() else {
        return Err(Problem::unreached("an rsync daemon takes a credential `USER:PASSWORD` only"));
    };
    Ok(vec![("USER", user.into()), ("RSYNC_PASSWORD", password.into())])
}

fn ssh_arguments(ask: &Ask<'_>) -> Result<Vec<OsString>, Problem> {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', "''"));
    let mut words = vec![quoted(&child::find("ssh")?.to_string_lossy())];
    for option in [
        "BatchMode=yes".to_owned(),
        "StrictHostKeyChecking=yes".to_owned(),
        "ClearAllForwardings=yes".to_owned(),
        "PermitLocalCommand=no".to_owned(),
        format!("ConnectTimeout={}", seconds(ask.times.connect)),
    ] {
        words.extend(["-o".to_owned(), option]);
    }
    if let Some(port) = ask.url.port() {
        words.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(credential) = &ask.list.credential {
        let key = key_file(credential).map_err(Problem::unreached)?;
        words.extend(["-o".to_owned(), "IdentitiesOnly=yes".to_owned()]);
        words.extend(["-i".to_owned(), quoted(&key.to_string_lossy())]);
    }
    if let Some(known_hosts) = &ask.list.known_hosts {
        let file = format!("UserKnownHostsFile={}", known_hosts.display());
        words.extend(["-o".to_owned(), quoted(&file)]);
    }
    let url: &Url = ask.url;
    let host = url.host_str().unwrap_or_default();
    let user = if url.username().is_empty() { String::new() } else { format!("{}@", url.username()) };
    let source = format!("{user}{host}:{}", url.path());
    Ok(vec!["-e".into(), words.join(" ").into(), "--".into(), source.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_called_reads_back() {
        assert_eq!(etag(10, 1_800_000_000, 5), "10-1800000000.000000005");
        let after = |seconds| UNIX_EPOCH + Duration::new(seconds, 5);
        assert_eq!(read_etag("10-1800000000.000000005"), Some((10, after(1_800_000_000))));
        let before = UNIX_EPOCH - Duration::from_secs(500_000_000) + Duration::from_nanos(5);
        assert_eq!(read_etag(&etag(10, -500_000_000, 5)), Some((10, before)));
        for bad in ["", "10", "10-", "x-1.1", "10---1.1", "10-1.1000000000"] {
            assert_eq!(read_etag(bad), None, "{bad}");
        }
        assert_eq!(http_date(Timestamp::UNIX_EPOCH).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
