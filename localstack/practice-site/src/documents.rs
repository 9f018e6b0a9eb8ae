//! The documents pages: a filtered list, deletion, a frame, a popup, an upload, a download
//! without a name. Uploaded bytes are measured, never kept.

use axum::Extension;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Form, Multipart, Query};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use minijinja::{Value, context};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::visit::Visit;

/// The largest file that is accepted.
const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;
/// How much of a request is read, so that a browser with a file too large gets an answer about it
/// instead of a closed connection.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// Title, type, archived.
const DOCUMENTS: [(&str, &str, bool); 5] = [
    ("Employee handbook", "policy", false),
    ("Holiday calendar", "policy", false),
    ("Contract template", "contract", false),
    ("Contract template of 2019", "contract", true),
    ("Old dress code", "policy", true),
];

/// What the filter form sends; a box without a tick sends nothing.
#[derive(Deserialize)]
pub(crate) struct Filter {
    #[serde(rename = "type")]
    kind: Option<String>,
    archived: Option<String>,
}

/// Which document is to be deleted.
#[derive(Deserialize)]
pub(crate) struct Deletion {
    id: usize,
}

/// What the form in the frame sends back to its own page.
#[derive(Deserialize)]
pub(crate) struct Feedback {
    comment: Option<String>,
}

/// What arrived in an upload.
struct Received {
    name: String,
    size_bytes: u64,
    sha256: String,
}

/// Shows the list, filtered by type and by whether archived documents count.
pub(crate) async fn show_documents(
    Extension(visit): Extension<Visit>,
    Query(filter): Query<Filter>,
) -> Response {
    if visit.email.is_none() {
        return visit.redirect("/login");
    }
    documents_page(&visit, &filter, "")
}

/// Deletes a document for this browser only.
pub(crate) async fn delete(
    Extension(visit): Extension<Visit>,
    Form(deletion): Form<Deletion>,
) -> Response {
    if visit.email.is_none() {
        return visit.redirect("/login");
    }
    let message = match DOCUMENTS.get(deletion.id) {
        Some((title, ..)) => {
            visit.site.with_session(&visit.session_id, |session| {
                session.deleted_documents.insert(deletion.id)
            });
            format!("Deleted {title}")
        }
        None => "There is no such document".to_owned(),
    };
    documents_page(
        &visit,
        &Filter {
            kind: None,
            archived: None,
        },
        &message,
    )
}

/// The page inside the frame.
pub(crate) async fn show_feedback(
    Extension(visit): Extension<Visit>,
    Query(feedback): Query<Feedback>,
) -> Response {
    let values = context! { prefix => &visit.prefix, comment => feedback.comment };
    crate::pages::bare("feedback.html", values)
}

/// The page of the popup.
pub(crate) async fn show_payslip(Extension(visit): Extension<Visit>) -> Response {
    match &visit.email {
        Some(email) => {
            crate::pages::bare("payslip.html", context! { prefix => &visit.prefix, email })
        }
        None => visit.redirect("/login"),
    }
}

/// A download whose answer doesn't say how the file is called.
pub(crate) async fn download_unnamed(Extension(visit): Extension<Visit>) -> Response {
    if visit.email.is_none() {
        return visit.redirect("/login");
    }
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, "attachment"),
    ];
    (headers, "a file without a name\n").into_response()
}

/// Shows the upload form.
pub(crate) async fn show_upload(Extension(visit): Extension<Visit>) -> Response {
    if visit.email.is_none() {
        return visit.redirect("/login");
    }
    upload_page(&visit, StatusCode::OK, None, "")
}

/// Takes a file and tells what arrived.
pub(crate) async fn upload(Extension(visit): Extension<Visit>, mut form: Multipart) -> Response {
    if visit.email.is_none() {
        return visit.redirect("/login");
    }
    match receive_file(&mut form).await {
        Ok(Some(file)) if file.size_bytes > MAX_FILE_BYTES => {
            let alert = "The file is larger than 10 MB";
            upload_page(&visit, StatusCode::PAYLOAD_TOO_LARGE, None, alert)
        }
        Ok(Some(file)) => upload_page(&visit, StatusCode::OK, Some(file), ""),
        Ok(None) => {
            let alert = "Choose a file first";
            upload_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, None, alert)
        }
        Err(error) => upload_page(&visit, error.status(), None, &error.body_text()),
    }
}

async fn receive_file(form: &mut Multipart) -> Result<Option<Received>, MultipartError> {
    while let Some(field) = form.next_field().await? {
        if field.name() == Some("file") {
            let name = field.file_name().unwrap_or_default().to_owned();
            let received = measure(name, field).await?;
            return Ok(Some(received).filter(|file| !file.name.is_empty()));
        }
    }
    Ok(None)
}

async fn measure(name: String, mut field: Field<'_>) -> Result<Received, MultipartError> {
    let mut hash = Sha256::new();
    let mut size_bytes = 0;
    while let Some(chunk) = field.chunk().await? {
        size_bytes += chunk.len() as u64;
        hash.update(&chunk);
    }
    let sha256 = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Received {
        name,
        size_bytes,
        sha256,
    })
}

fn documents_page(visit: &Visit, filter: &Filter, message: &str) -> Response {
    let deleted = visit.site.with_session(&visit.session_id, |session| {
        session.deleted_documents.clone()
    });
    let kind = filter.kind.as_deref().unwrap_or_default();
    let with_archived = filter.archived.is_some();
    let documents: Vec<Value> = DOCUMENTS
        .iter()
        .enumerate()
        .filter(|(id, _)| !deleted.contains(id))
        .filter(|(_, (_, of_kind, _))| kind.is_empty() || kind == *of_kind)
        .filter(|(_, (_, _, archived))| with_archived || !archived)
        .map(|(id, &(title, kind, archived))| context! { id, title, kind, archived })
        .collect();
    let values = context! { title => "Documents", documents, kind, with_archived, message };
    visit.page(StatusCode::OK, "documents.html", values)
}

fn upload_page(visit: &Visit, status: StatusCode, file: Option<Received>, alert: &str) -> Response {
    let file = file.map(|file| {
        context! { name => file.name, size => file.size_bytes, sha256 => file.sha256 }
    });
    visit.page(
        status,
        "upload.html",
        context! { title => "Upload a document", file, alert },
    )
}
