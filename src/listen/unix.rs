//! Unix sockets: their files, and their names.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

/// The file of a socket of our own. Dropped, it is removed, unless the path has become another's.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == self.identity) {
            // A file that cannot be removed is stale from now on, and the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a socket to a path, or with `@` to an abstract name, which has no file. A stale socket file is
/// replaced; one that is in use, and whatever else lies there, is left alone.
pub(super) fn bind(kind: Type, path: &str, mode: u32) -> io::Result<(Socket, Option<SocketFile>)> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    if let Some(name) = path.strip_prefix('@') {
        socket.bind(&SockAddr::unix(format!("\0{name}"))?)?;
        return Ok((socket, None));
    }
    let path = Path::new(path);
    make_way(path)?;
    // The file is born with no right that the mode lacks, and then gets those that the umask took.
    fchmod(&socket, Mode::from_bits_truncate(mode))?;
    socket.bind(&SockAddr::unix(path)?)?;
    let there = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_path_buf(), identity: (there.dev(), there.ino()) };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((socket, Some(file)))
}

fn make_way(path: &Path) -> io::Result<()> {
    let in_the_way = |what: &str| Err(io::Error::new(ErrorKind::AddrInUse, what));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(there) if !there.file_type().is_socket() => return in_the_way("what lies there is not a socket, so it is not replaced"),
        Ok(_) => {}
    }
    // A datagram socket disturbs no listener, and only a socket that nobody holds refuses it.
    match Socket::new(Domain::UNIX, Type::DGRAM, None)?.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        _ => in_the_way("another process holds the socket there"),
    }
}

/// The address part of a listener's label.
pub(super) fn name_of(socket: &Socket) -> io::Result<String> {
    let address = socket.local_addr()?;
    let path = address.as_pathname().map(|path| path.display().to_string());
    let name = || address.as_abstract_namespace().map(|name| format!("@{}", String::from_utf8_lossy(name)));
    Ok(path.or_else(name).unwrap_or_else(|| "unnamed".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    fn place() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s").display().to_string();
        (folder, path)
    }

    #[test]
    fn a_file_has_the_mode_asked_for_and_goes_with_its_socket() {
        let (_folder, path) = place();
        for mode in [0o722, 0o600, 0o777] {
            let (socket, file) = bind(Type::DGRAM, &path, mode).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
            assert_eq!(name_of(&socket).unwrap(), path);
            drop(file);
            assert!(!Path::new(&path).exists());
        }
    }

    #[test]
    fn a_stale_file_is_replaced() {
        let (_folder, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        let (_first, file) = bind(Type::DGRAM, &path, 0o722).unwrap();
        drop(file);
        drop(UnixDatagram::bind(&path).unwrap());
        assert!(bind(Type::STREAM, &path, 0o722).is_ok());
    }

    #[test]
    fn what_is_in_use_or_no_socket_stays() {
        let (_folder, path) = place();
        let refusal = |kind| bind(kind, &path, 0o722).unwrap_err().to_string();
        let live = UnixListener::bind(&path).unwrap();
        assert_eq!(refusal(Type::DGRAM), "another process holds the socket there");
        drop(live);
        fs::remove_file(&path).unwrap();
        let live = UnixDatagram::bind(&path).unwrap();
        assert_eq!(refusal(Type::STREAM), "another process holds the socket there");
        assert_eq!(refusal(Type::DGRAM), "another process holds the socket there");
        drop(live);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "text").unwrap();
        assert_eq!(refusal(Type::DGRAM), "what lies there is not a socket, so it is not replaced");
        assert_eq!(fs::read(&path).unwrap(), b"text");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert_eq!(refusal(Type::DGRAM), "what lies there is not a socket, so it is not replaced");
    }

    #[test]
    fn a_path_that_became_anothers_is_not_removed() {
        let (_folder, path) = place();
        let (_socket, file) = bind(Type::DGRAM, &path, 0o722).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixDatagram::bind(&path).unwrap();
        drop(file);
        assert!(Path::new(&path).exists());
    }

    #[test]
    fn an_abstract_name_has_no_file() {
        let name = format!("@statsd-relay-test-{}", std::process::id());
        let (socket, file) = bind(Type::DGRAM, &name, 0o722).unwrap();
        assert!(file.is_none());
        assert_eq!(name_of(&socket).unwrap(), name);
    }
}
