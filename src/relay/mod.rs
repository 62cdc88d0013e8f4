//! Assembly: builds the parts and connects them.
