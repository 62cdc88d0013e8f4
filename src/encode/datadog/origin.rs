//! Reserved tags: what leaves the tag set and becomes a host, a device or a resource; and the intake's limits.

use crate::encode::Unfit;

/// Limits of the intake (`upstreams.md` 2); what breaks one would be dropped there without a word.
const NAME_BYTES: usize = 350;
const HOST_BYTES: usize = 255;
const TAGS: usize = 100;
const TAG_BYTES: usize = 200;
const TAGS_BYTES: usize = 100 << 10;
const RESOURCES: usize = 500;

/// Where a metric, event or check comes from, once its reserved tags are read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Origin<'a> {
    /// Empty when the client cleared it with `host:`.
    pub(super) host: &'a str,
    pub(super) device: Option<&'a str>,
    /// `(type, name)` of `dd.internal.resource:`.
    pub(super) resources: Vec<(&'a str, &'a str)>,
    pub(super) tags: Vec<&'a str>,
}

impl<'a> Origin<'a> {
    /// Takes reserved tags out. The last `host:` wins over `host`.
    pub(super) fn read(tags: impl Iterator<Item = &'a str>, host: &'a str) -> Origin<'a> {
        let mut origin = Origin { host, ..Origin::default() };
        for tag in tags {
            match tag.split_once(':') {
                Some(("host", host)) => origin.host = host,
                Some(("device", device)) => origin.device = Some(device),
                Some(("dd.internal.entity_id" | "dd.internal.card" | "dd.internal.jmx_check_name", _)) => {}
                Some(("dd.internal.resource", resource)) => match resource.split_once(':') {
                    Some(pair) => origin.resources.push(pair),
                    None => origin.resources.push((resource, "")),
                },
                _ => origin.tags.push(tag),
            }
        }
        origin
    }

    /// Whether the intake would take the tags, the host and the resources.
    pub(super) fn check(&self) -> Result<(), Unfit> {
        let bytes: usize = self.tags.iter().map(|tag| tag.len()).sum();
        if self.tags.len() > TAGS || bytes > TAGS_BYTES || self.tags.iter().any(|tag| tag.len() > TAG_BYTES) {
            return Err(Unfit::Tags);
        }
        if self.host.len() > HOST_BYTES {
            return Err(Unfit::Host);
        }
        // Host and device are resources too.
        if self.resources.len() + 2 > RESOURCES {
            return Err(Unfit::Resources);
        }
        Ok(())
    }
}

/// Whether the intake would take the name.
pub(super) fn check_name(name: &str) -> Result<(), Unfit> {
    let fits = name.len() <= NAME_BYTES && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    if fits { Ok(()) } else { Err(Unfit::Name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_tags_leave_the_tag_set() {
        let tags = ["dd.internal.card:low", "dd.internal.resource:pod:a:b", "device:eth0", "env:x", "host:a", "host:b", "hostile"];
        let origin = Origin::read(tags.into_iter(), "own");
        assert_eq!((origin.host, origin.device), ("b", Some("eth0")));
        assert_eq!((origin.resources, origin.tags), (vec![("pod", "a:b")], vec!["env:x", "hostile"]));
        assert_eq!(Origin::read(["host:"].into_iter(), "own").host, "");
        assert_eq!(Origin::read(std::iter::empty(), "own").host, "own");
    }

    #[test]
    fn what_the_intake_would_drop_is_named() {
        let long = "x".repeat(351);
        let check = |tags: &[&str], host| Origin::read(tags.iter().copied(), host).check();
        assert_eq!(check(&["a"; 100], "h"), Ok(()));
        assert_eq!(check(&["a"; 101], "h"), Err(Unfit::Tags));
        assert_eq!(check(&[&long[..201]], "h"), Err(Unfit::Tags));
        assert_eq!(check(&[], &long[..256]), Err(Unfit::Host));
        assert_eq!(check(&["dd.internal.resource:a:b"; 499], "h"), Err(Unfit::Resources));
        for (name, fits) in [("a", true), ("", false), ("1.2", false), (&long[..350], true), (&long, false)] {
            assert_eq!(check_name(name).is_ok(), fits, "{name}");
        }
    }
}
