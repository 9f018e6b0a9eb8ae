//! What the crash matrix and the soak test stand on: the service's processes, each behind a proxy that causes faults,
//! a customer who uses the service as customers do, and a check of all that must hold when it is quiet again.
//!
//! Nothing here pretends to be a part of the service: what is started is its own code, what is killed is a process, and
//! what is checked is what lies in the table and in the bucket, and what arrived at the customer.

pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod customer;
pub(crate) mod http;
pub(crate) mod policy;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod roles;
pub(crate) mod scripted;
pub(crate) mod stage;
pub(crate) mod workflows;
pub(crate) mod world;
