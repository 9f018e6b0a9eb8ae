//! The origins to which a workflow lets its runs go. Addresses are guarded elsewhere, where names are resolved.

use domain::definition::{EvaluationError, Scope, Template};
use url::{Origin, Url};

/// The allowed origins of a run; none means any.
pub(crate) struct AllowedOrigins(Vec<Origin>);

impl AllowedOrigins {
    /// Resolves the origins of a definition. A URL stands for its origin.
    pub(crate) fn resolve(templates: &[Template], scope: &Scope) -> Result<Self, EvaluationError> {
        let origins = templates.iter().map(|template| {
            let text = template.text(scope)?;
            match Url::parse(&text) {
                Ok(url) if is_web(&url) => Ok(url.origin()),
                _ => Err(EvaluationError {
                    expression: template.source().to_owned(),
                    message: "an allowed origin must be an http or https URL".to_owned(),
                }),
            }
        });
        origins.collect::<Result<_, _>>().map(Self)
    }

    /// Whether any are named.
    pub(crate) fn are_named(&self) -> bool {
        !self.0.is_empty()
    }

    /// As browsers write them.
    pub(crate) fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(Origin::ascii_serialization).collect()
    }

    /// Checks a URL; the error says why a run may not go there.
    pub(crate) fn check(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|_| format!("`{text}` is not an absolute URL"))?;
        if !is_web(&url) {
            return Err(format!("`{text}` is not an http or https URL"));
        }
        if self.are_named() && !self.0.contains(&url.origin()) {
            let origin = url.origin().ascii_serialization();
            return Err(format!(
                "{origin} is not among the workflow's allowedOrigins"
            ));
        }
        Ok(url)
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}
