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
    /// One over the other.
    mounts: usize,
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
        Self::mounted(&["-o", "loop,errors=remount-ro", image.to_str().unwrap()])
    }

    /// Of an ext4 in a file: it meets an error, and the system lets nobody write to it any more.
    pub(crate) fn breaks(&self) {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let mount_point = self.mount_point();
        let here = mounts
            .lines()
            .find(|line| line.split(' ').nth(1) == mount_point.to_str())
            .unwrap();
        let device = here.split(' ').next().unwrap();
        let name = Path::new(device).file_name().unwrap().to_str().unwrap();
        let trigger = format!("/sys/fs/ext4/{name}/trigger_fs_error");
        std::fs::write(trigger, "broken").unwrap();
    }

    /// In its place, from one moment to the next, comes a copy in `image` of all that reached it, repaired. Whoever has
    /// files of the broken one open keeps those.
    pub(crate) fn is_replaced(&mut self, broken: &Path, image: &Path) {
        std::fs::copy(broken, image).unwrap();
        // It ends with 1 where it repaired something.
        Command::new("e2fsck")
            .args(["-fy"])
            .arg(image)
            .output()
            .unwrap();
        // Over it: without a disk there for a moment, the log would begin anew on the disk below.
        self.mounts += 1;
        assert!(is_done(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(image)
                .arg(self.mount_point())
        ));
    }

    fn mounted(arguments: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self {
            folder,
            mounts: 1,
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
        for _ in 0..self.mounts {
            is_done(Command::new("umount").arg("-l").arg(self.mount_point()));
        }
    }
}

fn is_done(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn skipped(what: &str) {
    println!("SKIPPED: this story needs root ({what} failed)");
}
