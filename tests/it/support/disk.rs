//! Disks of a story's own, that can be full, read-only or frozen. They need root: without it the story says
//! so and is left out.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A mounted disk; gone when dropped.
pub(crate) struct Disk {
    folder: tempfile::TempDir,
    is_frozen: bool,
}

impl Disk {
    /// A small one in memory; none where this process may not mount.
    pub(crate) fn in_memory(kib: usize) -> Option<Self> {
        let size = format!("size={kib}k,mode=700");
        Self::mounted(&["-t", "tmpfs", "-o", &size, "tmpfs"])
    }

    /// An ext4 in a file, which can be frozen; none where this process may not mount.
    pub(crate) fn in_a_file(image: &Path, mib: u64) -> Option<Self> {
        File::create(image).unwrap().set_len(mib << 20).unwrap();
        if !is_done(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image)) {
            skipped("mkfs.ext4");
            return None;
        }
        Self::mounted(&["-o", "loop", image.to_str().unwrap()])
    }

    fn mounted(arguments: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self {
            folder,
            is_frozen: false,
        };
        if is_done(
            Command::new("mount")
                .args(arguments)
                .arg(disk.mount_point()),
        ) {
            return Some(disk);
        }
        skipped("mount");
        None
    }

    fn mount_point(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// A folder on it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let ballast = self.path("ballast");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(ballast)
            .unwrap();
        for piece in [65_536, 4_096, 512, 1] {
            while file.write_all(&vec![b'b'; piece]).is_ok() {}
        }
    }

    /// Gives that room back.
    pub(crate) fn relieve(&self) {
        std::fs::remove_file(self.path("ballast")).unwrap();
    }

    pub(crate) fn remount(&self, how: &str) {
        let how = format!("remount,{how}");
        assert!(is_done(
            Command::new("mount")
                .args(["-o", &how])
                .arg(self.mount_point())
        ));
    }

    /// From now on every write waits.
    pub(crate) fn freeze(&mut self) {
        assert!(is_done(
            Command::new("fsfreeze").arg("-f").arg(self.mount_point())
        ));
        self.is_frozen = true;
    }

    pub(crate) fn thaw(&mut self) {
        assert!(is_done(
            Command::new("fsfreeze").arg("-u").arg(self.mount_point())
        ));
        self.is_frozen = false;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_frozen {
            self.thaw();
        }
        // Not mounted at all, where this process may not.
        is_done(Command::new("umount").arg("-l").arg(self.mount_point()));
    }
}

fn is_done(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn skipped(what: &str) {
    println!("SKIPPED: this story needs root ({what} failed)");
}
