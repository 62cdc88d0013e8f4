//! The table of functions: names, arguments, results and where each is computed.

use std::fmt;

use super::ast::{Call, Type};
use super::date::Date;
use super::element::{Span, Val};
use super::error::QueryError;
use super::eval::Eval;
use super::over_time::Over;
use super::{call, classic, histogram, info, over_time, rate};
use crate::model::{ExpHist, SampleValue};

pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// Types of the arguments; the last repeats when `repeats`.
    pub(crate) args: &'static [Type],
    /// How many at the end may be left out.
    optional: usize,
    repeats: bool,
    pub(crate) returns: Type,
    pub(super) body: Body,
}

pub(super) type WindowFn = fn(&Over<'_, '_>, &Span<'_>) -> Option<SampleValue>;
pub(super) type CallFn = for<'e> fn(&'e Eval<'_>, &'e Call, i64) -> Result<Val<'e>, QueryError>;

pub(super) enum Body {
    /// Of each float of a vector; histograms are left out.
    Float(fn(f64) -> f64),
    /// Of each float of a vector read as unix seconds; of the time of the evaluation without one.
    Date(fn(&Date) -> f64),
    /// Of each histogram of a vector; floats are left out.
    Histogram(fn(&ExpHist) -> f64),
    /// Of each series of a range vector.
    Window(WindowFn),
    /// The same, and the result is still the same quantity.
    Pick(WindowFn),
    /// Of its arguments.
    Call(CallFn),
}

impl Function {
    /// The fewest arguments.
    pub(crate) fn required(&self) -> usize {
        self.args.len() - self.optional
    }

    /// The most arguments, if there is a limit.
    pub(crate) fn most(&self) -> Option<usize> {
        (!self.repeats).then_some(self.args.len())
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

pub(crate) fn named(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Functions of PromQL that are not evaluated here.
pub(crate) fn is_known_elsewhere(name: &str) -> bool {
    ["start_timestamp"].contains(&name) && named(name).is_none()
}

const VECTOR: &[Type] = &[Type::Vector];
const MATRIX: &[Type] = &[Type::Matrix];

const fn function(name: &'static str, args: &'static [Type], returns: Type, body: Body) -> Function {
    Function { name, args, optional: 0, repeats: false, returns, body }
}

const fn float(name: &'static str, of: fn(f64) -> f64) -> Function {
    function(name, VECTOR, Type::Vector, Body::Float(of))
}

const fn date(name: &'static str, of: fn(&Date) -> f64) -> Function {
    Function { optional: 1, ..function(name, VECTOR, Type::Vector, Body::Date(of)) }
}

const fn window(name: &'static str, of: WindowFn) -> Function {
    function(name, MATRIX, Type::Vector, Body::Window(of))
}

const fn vector(name: &'static str, args: &'static [Type], of: CallFn) -> Function {
    function(name, args, Type::Vector, Body::Call(of))
}

const fn scalar(name: &'static str, args: &'static [Type], of: CallFn) -> Function {
    function(name, args, Type::Scalar, Body::Call(of))
}

const fn repeating(optional: usize, function: Function) -> Function {
    Function { optional, repeats: true, ..function }
}

use Type::{Matrix as M, Scalar as S, Text as T, Vector as V};

static FUNCTIONS: &[Function] = &[
    float("abs", f64::abs),
    vector("absent", VECTOR, call::absent),
    vector("absent_over_time", MATRIX, call::absent_over_time),
    float("acos", f64::acos),
    float("acosh", f64::acosh),
    float("asin", f64::asin),
    float("asinh", f64::asinh),
    float("atan", f64::atan),
    float("atanh", f64::atanh),
    window("avg_over_time", over_time::avg),
    float("ceil", f64::ceil),
    window("changes", over_time::changes),
    vector("clamp", &[V, S, S], call::clamp),
    vector("clamp_max", &[V, S], call::clamp_max),
    vector("clamp_min", &[V, S], call::clamp_min),
    float("cos", f64::cos),
    float("cosh", f64::cosh),
    window("count_over_time", over_time::count),
    date("day_of_month", |date| date.day),
    date("day_of_week", |date| date.weekday),
    date("day_of_year", |date| date.day_of_year),
    date("days_in_month", |date| date.days_in_month),
    float("deg", f64::to_degrees),
    window("delta", rate::delta),
    window("deriv", over_time::deriv),
    function("double_exponential_smoothing", &[M, S, S], Type::Vector, Body::Window(over_time::double_exponential_smoothing)),
    scalar("end", &[], call::end),
    float("exp", f64::exp),
    function("first_over_time", MATRIX, Type::Vector, Body::Pick(over_time::first)),
    float("floor", f64::floor),
    function("histogram_avg", VECTOR, Type::Vector, Body::Histogram(histogram::average)),
    function("histogram_count", VECTOR, Type::Vector, Body::Histogram(|histogram| histogram.count)),
    vector("histogram_fraction", &[S, S, V], classic::fraction),
    vector("histogram_quantile", &[S, V], classic::quantile),
    repeating(0, vector("histogram_quantiles", &[V, T, S], classic::quantiles)),
    function("histogram_stddev", VECTOR, Type::Vector, Body::Histogram(|histogram| histogram::variance(histogram).sqrt())),
    function("histogram_stdvar", VECTOR, Type::Vector, Body::Histogram(histogram::variance)),
    function("histogram_sum", VECTOR, Type::Vector, Body::Histogram(|histogram| histogram.sum)),
    date("hour", |date| date.hour),
    window("idelta", rate::idelta),
    window("increase", rate::increase),
    Function { optional: 1, ..vector("info", &[V, V], info::info) },
    window("irate", rate::irate),
    repeating(1, vector("label_join", &[V, T, T, T], call::label_join)),
    vector("label_replace", &[V, T, T, T, T], call::label_replace),
    function("last_over_time", MATRIX, Type::Vector, Body::Pick(over_time::last)),
    float("ln", f64::ln),
    float("log10", f64::log10),
    float("log2", f64::log2),
    window("mad_over_time", over_time::mad),
    scalar("max_of", &[S, S], call::max_of),
    window("max_over_time", over_time::max),
    scalar("min_of", &[S, S], call::min_of),
    window("min_over_time", over_time::min),
    date("minute", |date| date.minute),
    date("month", |date| date.month),
    scalar("pi", &[], call::pi),
    function("predict_linear", &[M, S], Type::Vector, Body::Window(over_time::predict_linear)),
    window("present_over_time", over_time::present),
    function("quantile_over_time", &[S, M], Type::Vector, Body::Window(over_time::quantile)),
    float("rad", f64::to_radians),
    scalar("range", &[], call::range),
    window("rate", rate::rate),
    window("resets", over_time::resets),
    Function { optional: 1, ..vector("round", &[V, S], call::round) },
    scalar("scalar", VECTOR, call::scalar),
    float("sgn", |value| if value == 0.0 || value.is_nan() { value } else { value.signum() }),
    float("sin", f64::sin),
    float("sinh", f64::sinh),
    vector("sort", VECTOR, call::sort),
    repeating(1, vector("sort_by_label", &[V, T], call::sort_by_label)),
    repeating(1, vector("sort_by_label_desc", &[V, T], call::sort_by_label_desc)),
    vector("sort_desc", VECTOR, call::sort_desc),
    float("sqrt", f64::sqrt),
    scalar("start", &[], call::start),
    window("stddev_over_time", over_time::stddev),
    window("stdvar_over_time", over_time::stdvar),
    scalar("step", &[], call::step),
    window("sum_over_time", over_time::sum),
    float("tan", f64::tan),
    float("tanh", f64::tanh),
    scalar("time", &[], call::time),
    vector("timestamp", VECTOR, call::timestamp),
    window("ts_of_first_over_time", over_time::ts_of_first),
    window("ts_of_last_over_time", over_time::ts_of_last),
    window("ts_of_max_over_time", over_time::ts_of_max),
    window("ts_of_min_over_time", over_time::ts_of_min),
    vector("vector", &[S], call::vector),
    date("year", |date| date.year),
];
