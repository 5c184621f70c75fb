//! Event files of TensorBoard.

use crate::ReportError;
use prost::Message;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// An event file of TensorBoard that is being written.
///
/// Each start of a run has a file of its own in the folder. The file of a run that resumes tells
/// TensorBoard to drop the values of earlier files from the first step that is done again.
///
/// The format is TensorFlow's: records with masked checksums, of `core/lib/io/record_writer.h`,
/// whose contents are messages `Event` of `core/util/event.proto`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rtune_report::EventFile;
/// use std::time::SystemTime;
///
/// let folder = tempfile::tempdir()?;
/// let mut events = EventFile::create(folder.path(), SystemTime::now(), None)?;
/// events.scalars(1, SystemTime::now(), &[("train/loss", 0.5)])?;
/// assert!(events.path().starts_with(folder.path()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Creates a file in `folder`, which is created if it is missing. `resumed` is the first step
    /// that a resumed run does again.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn create(
        folder: &Path,
        now: SystemTime,
        resumed: Option<usize>,
    ) -> Result<Self, ReportError> {
        std::fs::create_dir_all(folder).map_err(ReportError::write(folder))?;
        // TensorBoard reads the files of a folder in the order of their names.
        let seconds = since_epoch(now).floor();
        let process = std::process::id();
        for number in 0_u32.. {
            let name = format!("events.out.tfevents.{seconds:010}.rtune.{process}.{number}");
            let path = folder.join(name);
            let file = match File::options().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                file => file.map_err(ReportError::write(&path))?,
            };
            let mut events = Self { path, file };
            events.write(&Event {
                file_version: Some("brain.Event:2".to_owned()),
                ..Event::at(now)
            })?;
            if let Some(step) = resumed {
                events.write(&Event {
                    step: step as i64,
                    session_log: Some(SessionLog {
                        status: SessionLog::START,
                    }),
                    ..Event::at(now)
                })?;
            }
            return Ok(events);
        }
        Err(ReportError::write(folder)(
            std::io::ErrorKind::AlreadyExists.into(),
        ))
    }

    /// Appends the values of a step by their tags, such as `train/loss`. TensorBoard keeps them as
    /// 32-bit numbers.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalars(
        &mut self,
        step: usize,
        now: SystemTime,
        values: &[(&str, f64)],
    ) -> Result<(), ReportError> {
        let value = |(tag, value): &(&str, f64)| Value {
            tag: (*tag).to_owned(),
            simple_value: Some(*value as f32),
        };
        self.write(&Event {
            step: step as i64,
            summary: Some(Summary {
                value: values.iter().map(value).collect(),
            }),
            ..Event::at(now)
        })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a record in one call, so that a reader finds it whole or in part at the end.
    fn write(&mut self, event: &Event) -> Result<(), ReportError> {
        let record = record(&event.encode_to_vec());
        let written = self.file.write_all(&record);
        written.map_err(ReportError::write(&self.path))
    }
}

/// The length of `data`, its checksum, the data and its checksum; all numbers are little-endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// CRC-32C, rotated and shifted, so that a checksum of data with checksums in it is a good one.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// Seconds since 1970.
fn since_epoch(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0.0, |duration| duration.as_secs_f64())
}

/// The fields of TensorFlow's `Event` that are written.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

impl Event {
    fn at(time: SystemTime) -> Self {
        Self {
            wall_time: since_epoch(time),
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl SessionLog {
    const START: i32 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn events(file: &EventFile) -> Vec<Event> {
        let bytes = std::fs::read(file.path()).unwrap();
        let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let end = 12 + length;
            events.push(Event::decode(&rest[12..end]).unwrap());
            assert_eq!(rest[..end + 4], record(&rest[12..end]));
            rest = &rest[end + 4..];
        }
        events
    }

    /// The bytes that TensorBoard 2.21's own `RecordWriter` and `Event` write for this event.
    #[test]
    fn the_bytes_are_those_of_tensorboard() {
        let event = Event {
            wall_time: 1.5,
            step: 7,
            summary: Some(Summary {
                value: vec![Value {
                    tag: "train/loss".to_owned(),
                    simple_value: Some(0.25),
                }],
            }),
            ..Event::default()
        };
        let bytes: String = record(&event.encode_to_vec())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(bytes, EXPECTED);
    }

    const EXPECTED: &str = "200000000000000029eda95009000000000000f83f10072a130a110a0a74\
        7261696e2f6c6f7373150000803ef4985d1a";

    #[test]
    fn each_start_has_a_file_and_a_resumed_one_names_its_first_step() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("tensorboard");
        let now = UNIX_EPOCH + Duration::from_millis(1_500);
        let mut first = EventFile::create(&folder, now, None).unwrap();
        first
            .scalars(
                3,
                now,
                &[("train/loss", 0.5), ("train/learning_rate", 1e-4)],
            )
            .unwrap();
        let second = EventFile::create(&folder, now, Some(2)).unwrap();
        assert!(second.path() > first.path());
        let names: Vec<_> = [&first, &second]
            .map(|file| {
                file.path()
                    .file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .into();
        assert!(
            names[0].starts_with("events.out.tfevents.0000000001.rtune."),
            "{names:?}"
        );
        let written = events(&first);
        assert_eq!(written[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(written[0].wall_time, 1.5);
        let summary = written[1].summary.as_ref().unwrap();
        let values = summary
            .value
            .iter()
            .map(|v| (v.tag.as_str(), v.simple_value));
        assert_eq!(
            values.collect::<Vec<_>>(),
            [
                ("train/loss", Some(0.5)),
                ("train/learning_rate", Some(1e-4))
            ]
        );
        let resumed = events(&second);
        assert_eq!(resumed[1].step, 2);
        assert_eq!(
            resumed[1].session_log.as_ref().unwrap().status,
            SessionLog::START
        );
    }
}
