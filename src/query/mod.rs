//! PromQL over anything that can Select.
