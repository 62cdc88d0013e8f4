//! Datadog's protobuf messages, as far as the relay fills them (`upstreams.md` 2 and 4).

/// Body of `/api/v2/series`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricPayload {
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<MetricSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricSeries {
    #[prost(message, repeated, tag = "1")]
    pub resources: Vec<Resource>,
    #[prost(string, tag = "2")]
    pub metric: String,
    #[prost(string, repeated, tag = "3")]
    pub tags: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub points: Vec<MetricPoint>,
    #[prost(enumeration = "MetricType", tag = "5")]
    pub r#type: i32,
    #[prost(string, tag = "6")]
    pub unit: String,
    #[prost(string, tag = "7")]
    pub source_type_name: String,
    /// Seconds.
    #[prost(int64, tag = "8")]
    pub interval: i64,
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Resource {
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct MetricPoint {
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Unix seconds.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// Where a series comes from. The relay leaves it out; the intake's vector has it.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub origin: Option<Origin>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Origin {
    #[prost(uint32, tag = "4")]
    pub origin_product: u32,
    #[prost(uint32, tag = "5")]
    pub origin_category: u32,
    #[prost(uint32, tag = "6")]
    pub origin_service: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricType {
    Unspecified = 0,
    Count = 1,
    Rate = 2,
    Gauge = 3,
}

/// Body of `/api/beta/sketches`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SketchPayload {
    #[prost(message, repeated, tag = "1")]
    pub sketches: Vec<Sketch>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Sketch {
    #[prost(string, tag = "1")]
    pub metric: String,
    #[prost(string, tag = "2")]
    pub host: String,
    #[prost(string, repeated, tag = "4")]
    pub tags: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub dogsketches: Vec<Dogsketch>,
    #[prost(message, optional, tag = "8")]
    pub metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Dogsketch {
    /// Unix seconds.
    #[prost(int64, tag = "1")]
    pub ts: i64,
    #[prost(int64, tag = "2")]
    pub cnt: i64,
    #[prost(double, tag = "3")]
    pub min: f64,
    #[prost(double, tag = "4")]
    pub max: f64,
    #[prost(double, tag = "5")]
    pub avg: f64,
    #[prost(double, tag = "6")]
    pub sum: f64,
    /// Keys, ascending.
    #[prost(sint32, repeated, tag = "7")]
    pub k: Vec<i32>,
    /// Counts, one per key.
    #[prost(uint32, repeated, tag = "8")]
    pub n: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_gauge_has_the_bytes_of_the_vector() {
        let origin = Origin { origin_product: 10, origin_category: 10, origin_service: 0 };
        let series = MetricSeries {
            resources: vec![Resource { r#type: "host".into(), name: "h".into() }],
            metric: "a".into(),
            tags: vec!["k:v".into()],
            points: vec![MetricPoint { value: 1.5, timestamp: 1_700_000_000 }],
            r#type: MetricType::Gauge as i32,
            interval: 10,
            metadata: Some(Metadata { origin: Some(origin) }),
            ..MetricSeries::default()
        };
        assert_eq!(
            hex(&MetricPayload { series: vec![series] }.encode_to_vec()),
            "0a300a090a04686f73741201681201611a036b3a76220f09000000000000f83f1080e2cfaa062803400a4a060a04200a280a"
        );
    }

    #[test]
    fn a_sketch_has_the_bytes_of_the_vector() {
        let dogsketch = Dogsketch {
            ts: 1_700_000_000,
            cnt: 5,
            min: -1.0,
            max: 2.0,
            avg: 0.8,
            sum: 4.0,
            k: vec![-1338, 0, 1338, 1383],
            n: vec![1, 1, 1, 2],
        };
        let sketch =
            Sketch { metric: "d".into(), host: "h".into(), tags: vec!["k:v".into()], dogsketches: vec![dogsketch], metadata: None };
        assert_eq!(
            hex(&SketchPayload { sketches: vec![sketch] }.encode_to_vec()),
            "0a480a016412016822036b3a763a3b0880e2cfaa06100519000000000000f0bf2100000000000000402\
             99a9999999999e93f3100000000000010403a07f31400f414ce15420401010102"
        );
    }
}
