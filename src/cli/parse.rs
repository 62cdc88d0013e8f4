//! `statsd-relay parse`: what the relay reads in some bytes, as JSON.

use std::io::{self, BufWriter, Read, Write};

use anyhow::Context;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::parse::frame::{Frames, LIMIT, Lines, Unit};
use crate::parse::{Dialect, Options, Parsed, each, json};

/// Reads one received unit from stdin and prints one JSON record a line.
#[derive(Args, Clone, Debug, Default)]
pub struct ParseArgs {
    /// How lines are read.
    #[arg(long, value_enum, default_value_t)]
    dialect: Dialect,
    /// Refuse what is otherwise tolerated.
    #[arg(long)]
    strict: bool,
    /// What stdin is: one datagram, or everything a peer sent before it closed.
    #[arg(long, value_enum, default_value_t)]
    transport: Transport,
    /// Refuse a last line without its newline.
    #[arg(long)]
    eol_required: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
#[value(rename_all = "snake_case")]
enum Transport {
    #[default]
    Datagram,
    LengthPrefixed,
    NewlineStream,
}

impl ValueEnum for Dialect {
    fn value_variants<'a>() -> &'a [Dialect] {
        &Dialect::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

impl ParseArgs {
    /// Reads `input` to its end and writes its records to `output`. A refused line is a record, not an error; a
    /// reader of the output that went away ends the work in peace.
    pub fn run(self, input: &mut impl Read, output: &mut impl Write) -> anyhow::Result<()> {
        let mut records = Records { output: BufWriter::new(output), failure: None };
        self.read(input, &mut records).context("cannot read standard input")?;
        match records.finish() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
            _ => Ok(()),
        }
    }

    fn read(&self, input: &mut impl Read, records: &mut Records<impl Write>) -> io::Result<()> {
        let options = Options { dialect: self.dialect, strict: self.strict, eol_required: self.eol_required };
        let mut take = |unit: Unit<'_>| match unit {
            Ok(bytes) => each(bytes, &options, &mut |parsed| records.write(&parsed)),
            Err(reason) => records.write(&Parsed { line: b"", record: Err(reason) }),
        };
        match self.transport {
            Transport::Datagram => {
                let mut datagram = Vec::new();
                input.read_to_end(&mut datagram)?;
                take(Ok(&datagram));
            }
            Transport::LengthPrefixed => {
                let mut frames = Frames::new(LIMIT);
                for_each_read(input, |bytes| frames.push(bytes, &mut take).is_continue())?;
                frames.finish(&mut take);
            }
            Transport::NewlineStream => {
                let mut lines = Lines::new(LIMIT);
                for_each_read(input, |bytes| {
                    lines.push(bytes, &mut take);
                    true
                })?;
                lines.finish(&mut take);
            }
        }
        Ok(())
    }
}

/// Reads until the end, or until `take` has had enough.
fn for_each_read(input: &mut impl Read, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut buffer = vec![0; LIMIT];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) if take(&buffer[..read]) => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes records until the first failure, which it keeps.
struct Records<W: Write> {
    output: BufWriter<W>,
    failure: Option<io::Error>,
}

impl<W: Write> Records<W> {
    fn write(&mut self, parsed: &Parsed<'_>) {
        if self.failure.is_none() {
            let written = serde_json::to_writer(&mut self.output, &json::object(&parsed.record)).map_err(io::Error::from);
            self.failure = written.and_then(|()| self.output.write_all(b"\n")).err();
        }
    }

    fn finish(mut self) -> io::Result<()> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.output.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn printed(args: ParseArgs, input: &[u8]) -> String {
        let mut output = Vec::new();
        args.run(&mut &input[..], &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn each_record_is_one_line_with_every_key() {
        assert_eq!(
            printed(ParseArgs::default(), b"hits:1|c|#b,a\nbroken"),
            concat!(
                r#"{"kind":"metric","name":"hits","type":"counter","values":[1.0],"sample_rate":1.0,"tags":["a","b"],"#,
                r#""timestamp":null,"relative":false,"container_id":null,"inode":null,"external_data":null,"cardinality":null}"#,
                "\n",
                r#"{"kind":"error","reason":"missing_colon"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_switches_are_the_documented_words() {
        let command = ParseArgs::augment_args(clap::Command::new("parse"));
        let line = ["parse", "--dialect", "signalfx", "--strict", "--transport", "length_prefixed", "--eol-required"];
        let matches = command.clone().try_get_matches_from(line).unwrap();
        let args = ParseArgs::from_arg_matches(&matches).unwrap();
        assert!(matches!(args.transport, Transport::LengthPrefixed) && args.strict && args.eol_required);
        assert_eq!(args.dialect, Dialect::SignalFx);
        for dialect in Dialect::ALL.map(Dialect::as_str) {
            assert!(command.clone().try_get_matches_from(["parse", "--dialect", dialect]).is_ok(), "{dialect}");
        }
        assert!(command.try_get_matches_from(["parse", "--transport", "tcp"]).is_err());
    }

    #[test]
    fn a_broken_frame_ends_the_stream() {
        let args = ParseArgs { transport: Transport::LengthPrefixed, ..ParseArgs::default() };
        assert_eq!(
            printed(args, b"\x05\0\0\0a:1|xGET / HTTP/1.1"),
            "{\"kind\":\"error\",\"reason\":\"unknown_type\"}\n{\"kind\":\"error\",\"reason\":\"frame_too_large\"}\n"
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(ParseArgs::default().run(&mut &b"a:1|c"[..], &mut Closed).is_ok());
    }
}
