//! Every operation of the API, once: the router is made of this list, and so is the published description.
//!
//! The description's parts are only built by the test that writes it down. Building it at each start would cost every
//! cold start a millisecond and the function a twentieth of its size.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use utoipa::openapi::HttpMethod;

use crate::{Api, api_keys, artifacts, runs, secrets, service, webhook_endpoints, workflows};

/// Hands all operations to a macro, each as the module and the name of its handler.
macro_rules! operations {
    ($then:ident) => {
        $then! {
            runs::create => create,
            runs::read => list,
            runs::read => read,
            runs::cancel => cancel,
            runs::create => retry,
            runs::user_input => answer_question,
            artifacts => list,
            artifacts => read,
            artifacts => content,
            workflows => create,
            workflows => list,
            workflows => validate,
            workflows => read,
            workflows => update,
            workflows => delete,
            workflows => list_versions,
            workflows => read_version,
            webhook_endpoints => create,
            secrets => list,
            secrets => set,
            secrets => delete,
            api_keys => create,
            api_keys => list,
            api_keys => delete,
            service => health,
            service => openapi,
            service => docs,
        }
    };
}

macro_rules! routed {
    ($($($module:ident)::+ => $handler:ident,)+) => {
        pastey::paste! {
            Router::new()
            $(.merge(route::<$($module)::+::[<__path_ $handler>], _>($($module)::+::$handler)))+
        }
    };
}

#[cfg(test)]
macro_rules! described {
    ($($($module:ident)::+ => $handler:ident,)+) => {
        utoipa_axum::router::OpenApiRouter::new()
        $(.routes(utoipa_axum::routes!($($module)::+::$handler)))+
    };
}

/// Which path and method leads to which handler.
pub(crate) fn routes() -> Router<Api> {
    operations!(routed)
}

/// What the handlers say of themselves.
#[cfg(test)]
pub(crate) fn description() -> utoipa::openapi::OpenApi {
    let described: utoipa_axum::router::OpenApiRouter<Api> = operations!(described);
    described.into_openapi()
}

/// A handler at the path and the methods that its description names.
fn route<Description: utoipa::Path, T: 'static>(handler: impl Handler<T, Api>) -> Router<Api> {
    let methods = Description::methods().into_iter().map(filter_of);
    let methods = methods.reduce(MethodFilter::or);
    let methods = methods.unwrap_or(MethodFilter::GET);
    Router::new().route(&Description::path(), on(methods, handler))
}

fn filter_of(method: HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}
