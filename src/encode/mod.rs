//! Windows to bytes, one module per format.
