//! The roster of employees: the paged table and its CSV export.

use axum::Extension;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use minijinja::{Value, context};
use serde::Deserialize;

use crate::employees::{self, Employee};
use crate::switches::{NextOnLastPage, Switches};
use crate::visit::Visit;

/// How many employees one page shows.
const ROWS_PER_PAGE: usize = 10;

/// Which page of the roster is asked for; pages count from 1.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    page: Option<String>,
}

/// The employees of the visit's month: all of them, or none in an empty month.
pub(crate) fn listed(switches: Switches) -> Vec<Employee> {
    if switches.empty() {
        Vec::new()
    } else {
        employees::all()
    }
}

/// Shows one page of the table.
pub(crate) async fn show_employees(
    Extension(visit): Extension<Visit>,
    Query(query): Query<PageQuery>,
) -> Response {
    if visit.email.is_none() {
        return visit.redirect("/login");
    }
    let everyone = listed(visit.switches);
    let pages = everyone.len().div_ceil(ROWS_PER_PAGE).max(1);
    let asked = query.page.map_or(Some(1), |page| page.parse().ok());
    let Some(page) = asked.filter(|page| (1..=pages).contains(page)) else {
        let values = context! { title => "Not found", message => "There is no such page." };
        return visit.page(StatusCode::NOT_FOUND, "problem.html", values);
    };
    let rows: Vec<Value> = everyone
        .chunks(ROWS_PER_PAGE)
        .nth(page - 1)
        .unwrap_or_default()
        .iter()
        .map(|employee| {
            context! {
                name => employee.name,
                email => employee.email,
                department => employee.department,
                start_date => employee.start_date,
                salary => employee.salary_text(),
            }
        })
        .collect();
    let values = context! {
        title => "Employees",
        rows,
        total => everyone.len(),
        page,
        pages,
        late_ms => visit.switches.late_ms(),
        next_disabled => visit.switches.next() == NextOnLastPage::Disabled,
    };
    visit.page(StatusCode::OK, "employees.html", values)
}

/// Sends the whole roster as a file.
pub(crate) async fn export_csv(Extension(visit): Extension<Visit>) -> Response {
    if visit.email.is_none() {
        return visit.redirect("/login");
    }
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"employees.csv\"",
        ),
    ];
    (headers, employees::to_csv(&listed(visit.switches))).into_response()
}
