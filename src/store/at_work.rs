//! A panic inside the database, remembered beyond the process.
//!
//! Some damage makes the database panic, and a release build aborts on that: every start would die of the
//! same file. So whoever works on the file says so on its thread, the panic hook leaves a mark beside the file,
//! and the next start sets the file aside.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use super::StoreError;
use super::disk::Disk;

thread_local! {
    /// The mark to leave if this thread panics now.
    static MARK: RefCell<Option<Arc<Path>>> = const { RefCell::new(None) };
}

/// While it lives, a panic of this thread is the file's.
pub(super) struct AtWork(Option<Arc<Path>>);

impl AtWork {
    /// `mark` is `None` for a store without a file.
    pub(super) fn on(mark: &Option<Arc<Path>>) -> AtWork {
        AtWork(MARK.with(|held| held.replace(mark.clone())))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        MARK.with(|held| *held.borrow_mut() = self.0.take());
    }
}

/// Has panics of threads at work leave their mark, before what panics did so far.
pub(super) fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let held = MARK.try_with(|held| held.try_borrow().ok().and_then(|mark| mark.clone()));
            if let Ok(Some(mark)) = held {
                // If no mark can be left, the next start dies too: nothing better is possible here.
                let _ = leave(&mark, panic);
            }
            before(panic);
        }));
    });
}

fn leave(mark: &Path, panic: &PanicHookInfo<'_>) -> std::io::Result<()> {
    let mut file = File::create(mark)?;
    if let Some(place) = panic.location() {
        writeln!(file, "{}:{}", place.file(), place.line())?;
    }
    file.sync_all()?;
    sync_directory(mark)
}

fn sync_directory(of: &Path) -> std::io::Result<()> {
    of.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// The mark of the file at `path`.
pub(super) fn mark_of(path: &Path) -> Arc<Path> {
    path.with_extension("tsdb.panicked").into()
}

/// Renames the file a process died of, if there is one; answers its new name.
pub(super) fn set_aside(disk: &Disk, now_ms: i64) -> Result<Option<PathBuf>, StoreError> {
    let (path, Some(mark)) = (&disk.path, &disk.mark) else { return Ok(None) };
    let place = match std::fs::read_to_string(mark) {
        Ok(place) => place,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(mark, error)),
    };
    let mut names = (now_ms..).map(|at| path.with_extension(format!("tsdb.damaged-{at}")));
    let aside = names.find(|name| !name.exists()).filter(|_| path.exists());
    if let Some(aside) = &aside {
        std::fs::rename(path, aside).map_err(|error| StoreError::io(path, error))?;
        tracing::error!(
            path = %path.display(),
            aside = %aside.display(),
            place = place.trim_end(),
            "the last process died inside the store's file; it was set aside, and the store starts afresh"
        );
    }
    std::fs::remove_file(mark).and_then(|()| sync_directory(path)).map_err(|error| StoreError::io(mark, error))?;
    Ok(aside)
}
