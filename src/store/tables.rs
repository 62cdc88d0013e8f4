//! The tables that grow with time: what is put there, and what is deleted again.

use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use super::disk::{CLOSING_PARTS, EVENTS, FRAMES, HOURS, RECORDED_PARTS, STAMPED};
use super::queue::Pending;
use super::role::Role;
use super::timeline::{PARTITION_MS, partition_of};

/// What a sample with a time of its own takes, by measure: a row of 24 bytes, in pages little more than half full.
const STAMPED_BYTES: u64 = 42;
/// Notes kept, in bytes.
const NOTES: u64 = 64 << 20;

/// The open tables of one transaction.
pub(super) struct Tables<'a> {
    frames: Table<'a, (u64, u16), &'static [u8]>,
    hours: Table<'a, u64, u64>,
    stamped: Table<'a, (u64, u64), f64>,
    pub(super) events: Table<'a, (u64, u32), &'static [u8]>,
}

impl<'a> Tables<'a> {
    pub(super) fn open(write: &'a WriteTransaction) -> Result<Tables<'a>, redb::Error> {
        Ok(Tables {
            frames: write.open_table(FRAMES)?,
            hours: write.open_table(HOURS)?,
            stamped: write.open_table(STAMPED)?,
            events: write.open_table(EVENTS)?,
        })
    }

    pub(super) fn put_frame(&mut self, pending: &Pending) -> Result<(), redb::Error> {
        let at = pending.at.max(0) as u64;
        let first = if pending.is_window { 0 } else { self.next_recorded_part(at)? };
        let mut bytes = 0;
        for (part, part_bytes) in pending.parts.iter().enumerate() {
            self.frames.insert((at, first.saturating_add(part as u16)), part_bytes.as_slice())?;
            bytes += part_bytes.len() as u64;
        }
        let hour = partition_of(pending.at).max(0) as u64;
        let before = self.hours.get(hour)?.map_or(0, |bytes| bytes.value());
        self.hours.insert(hour, before + bytes)?;
        Ok(())
    }

    /// Rules may record several times at one instant: each time behind the parts that are there.
    fn next_recorded_part(&self, at: u64) -> Result<u16, redb::Error> {
        let mut there = self.frames.range((at, RECORDED_PARTS)..(at, CLOSING_PARTS))?;
        let last = there.next_back().transpose()?.map(|(key, _)| key.value().1);
        Ok(last.map_or(RECORDED_PARTS, |last| last + 1))
    }

    /// Gains of one second add up; of a gauge's values the last stands.
    pub(super) fn put_stamped(&mut self, pending: &Pending) -> Result<(), redb::Error> {
        for own in &pending.stamped {
            let key = (own.at, own.number.0);
            let before = match own.number.role() {
                Some(Role::Stamped) => self.stamped.get(key)?.map_or(0.0, |before| before.value()),
                _ => 0.0,
            };
            self.stamped.insert(key, before + own.value)?;
        }
        Ok(())
    }

    /// Whether there are frames of both partitions before `partition`.
    pub(super) fn has_hours_before(&self, partition: i64) -> Result<bool, redb::Error> {
        let Ok(first) = u64::try_from(partition - 2) else { return Ok(false) };
        Ok(self.hours.get(first)?.is_some() && self.hours.get(first + 1)?.is_some())
    }

    /// What was said at the close: behind the last window.
    pub(super) fn put_closing(&mut self, end: i64, parts: &[Vec<u8>]) -> Result<(), redb::Error> {
        for (part, bytes) in (CLOSING_PARTS..u16::MAX).zip(parts) {
            self.frames.insert((end.max(0) as u64, part), bytes.as_slice())?;
        }
        Ok(())
    }

    /// Deletes samples with times of their own before `oldest` (unix milliseconds); answers how many they were.
    pub(super) fn forget_stamped(&mut self, oldest: i64) -> Result<u64, redb::Error> {
        let before = self.stamped.len()?;
        self.stamped.retain_in(..((oldest / 1_000) as u64, 0), |_, _| false)?;
        Ok(before - self.stamped.len()?)
    }

    /// Deletes the frames of all partitions before `until`; answers how many windows they held.
    pub(super) fn forget_frames(&mut self, until: i64) -> Result<usize, redb::Error> {
        let last = (until.max(0) * PARTITION_MS) as u64;
        let (mut windows, mut window) = (0, 0);
        self.frames.retain_in(..=(last, u16::MAX), |(end, _), _| {
            windows += usize::from(std::mem::replace(&mut window, end) != end);
            false
        })?;
        self.hours.retain_in(..until.max(0) as u64, |_, _| false)?;
        Ok(windows)
    }

    /// Deletes the oldest partitions before `open`, with the samples of their time that have times of their own, until
    /// the rest is at most `size` bytes; answers how many windows went.
    pub(super) fn make_room(&mut self, size: u64, open: i64) -> Result<usize, redb::Error> {
        let open = open.max(0) as u64;
        let hours = self.hours.range(..open)?.map(|row| row.map(|(hour, bytes)| (hour.value(), bytes.value())));
        let hours: Vec<(u64, u64)> = hours.collect::<Result<_, _>>()?;
        let mut held = hours.iter().map(|(_, bytes)| bytes).sum::<u64>() + self.stamped.len()? * STAMPED_BYTES;
        let mut hours = hours.into_iter().peekable();
        let mut until = None;
        while held > size {
            let of_stamped = self.stamped.first()?.map(|(key, _)| key.value().0 * 1_000 / PARTITION_MS as u64);
            let of_frames = hours.peek().map(|&(hour, _)| hour);
            let Some(hour) = of_stamped.into_iter().chain(of_frames).min().filter(|&hour| hour < open) else { break };
            let frames = hours.next_if(|&(next, _)| next == hour).map_or(0, |(_, bytes)| bytes);
            let stamped = self.forget_stamped((hour as i64 + 1) * PARTITION_MS)? * STAMPED_BYTES;
            held = held.saturating_sub(frames + stamped);
            until = Some(hour as i64 + 1);
        }
        until.map_or(Ok(0), |until| self.forget_frames(until))
    }

    /// Deletes notes that arrived before `oldest` (unix milliseconds), and the oldest while there are too
    /// many; answers the bytes left of `bytes`.
    pub(super) fn forget_notes(&mut self, oldest: u64, mut bytes: u64) -> Result<u64, redb::Error> {
        loop {
            let first = self.events.first()?.map(|(key, note)| (key.value(), note.value().len() as u64));
            let Some((key, len)) = first else { return Ok(0) };
            if key.0 >= oldest && bytes <= NOTES {
                return Ok(bytes);
            }
            self.events.remove(key)?;
            bytes = bytes.saturating_sub(len);
        }
    }
}
