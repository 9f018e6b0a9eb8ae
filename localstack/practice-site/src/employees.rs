//! An employee in the shapes in which the portal shows one: a table row, a CSV line, a JSON record.

use serde::{Serialize, Serializer};

use crate::people::PEOPLE;

/// Somebody on the roster.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Employee {
    /// The full name, nasty characters included.
    pub(crate) name: &'static str,
    /// The address, unique on the roster.
    pub(crate) email: &'static str,
    /// The department.
    pub(crate) department: &'static str,
    /// The first day, as `2019-03-04`.
    pub(crate) start_date: &'static str,
    /// The yearly salary in cents; a number of dollars on the wire.
    #[serde(rename = "salary", serialize_with = "as_dollars")]
    pub(crate) salary_cents: u32,
}

impl Employee {
    /// The salary as the table shows it, such as `$84,250.00`.
    pub(crate) fn salary_text(&self) -> String {
        let dollars = (self.salary_cents / 100).to_string();
        let mut grouped = String::new();
        for (index, digit) in dollars.chars().enumerate() {
            if index > 0 && (dollars.len() - index).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        format!("${grouped}.{:02}", self.salary_cents % 100)
    }
}

/// Everybody, in the order of the roster.
pub(crate) fn all() -> Vec<Employee> {
    PEOPLE
        .iter()
        .map(
            |&(name, email, department, start_date, salary_cents)| Employee {
                name,
                email,
                department,
                start_date,
                salary_cents,
            },
        )
        .collect()
}

/// The roster as RFC 4180 wants it: CRLF, quotes where they are needed, quotes doubled.
pub(crate) fn to_csv(employees: &[Employee]) -> String {
    let mut csv = String::from("Name,Email,Department,Start date,Salary\r\n");
    for employee in employees {
        let salary = format!(
            "{}.{:02}",
            employee.salary_cents / 100,
            employee.salary_cents % 100
        );
        let fields = [
            quoted(employee.name),
            quoted(employee.email),
            quoted(employee.department),
            quoted(employee.start_date),
            salary,
        ];
        csv.push_str(&fields.join(","));
        csv.push_str("\r\n");
    }
    csv
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn as_dollars<S: Serializer>(cents: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(f64::from(*cents) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_roster_has_47_people_with_47_addresses() {
        let addresses: BTreeSet<_> = all().iter().map(|employee| employee.email).collect();
        assert_eq!(all().len(), 47);
        assert_eq!(addresses.len(), 47);
    }

    #[test]
    fn salaries_are_grouped_by_thousands() {
        let text = |salary_cents| {
            Employee {
                salary_cents,
                ..all()[0]
            }
            .salary_text()
        };
        assert_eq!(text(8_425_000), "$84,250.00");
        assert_eq!(text(125_000_007), "$1,250,000.07");
        assert_eq!(text(99_999), "$999.99");
        assert_eq!(text(0), "$0.00");
    }
}
