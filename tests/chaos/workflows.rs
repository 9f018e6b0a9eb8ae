//! The workflows of which there are runs.

/// A run that does everything that leaves something: uses a secret, asks a person, extracts, returns.
const EVERYTHING: &str = r#"
name: Everything
retry: RETRY
input:
  type: object
  properties: { site: { type: string } }
  required: [site]
states:
  - name: signing_in
    steps:
      - goto: "{{ input.site }}/login"
      - fill: { label: Password, value: "{{ secrets.password }}" }
  - name: entering_code
    steps:
      - askUser: { prompt: Code sent to your phone, as: code, timeout: 5m }
      - fill: { label: Code, value: "{{ answers.code }}" }
  - name: extracting
    steps:
      - extract: { rows: tr, fields: { name: td }, as: people }
output: { count: "{{ people | length }}" }
"#;

/// A run that asks nobody.
const ALONE: &str = r#"
name: Alone
retry: RETRY
input:
  type: object
  properties: { site: { type: string } }
  required: [site]
states:
  - name: extracting
    steps:
      - goto: "{{ input.site }}/login"
      - extract: { rows: tr, fields: { name: td }, as: people }
output: { count: "{{ people | length }}" }
"#;

/// A run that goes on when nobody answers its first question, and ends when nobody answers its second one, but for what it
/// does at any end.
const HURRIED: &str = r#"
name: Hurried
retry: RETRY
input:
  type: object
  properties: { site: { type: string } }
  required: [site]
states:
  - name: asking_for_a_remark
    steps:
      - goto: "{{ input.site }}/login"
      - askUser: { prompt: Anything to say, as: remark, timeout: 2s }
        onError: continue
      - extract: { rows: tr, fields: { name: td }, as: people }
  - name: entering_code
    steps:
      - askUser: { prompt: Code sent to your phone, as: code, timeout: 2s }
      - fill: { label: Code, value: "{{ answers.code }}" }
  - name: signing_out
    finally: true
    steps:
      - goto: "{{ input.site }}/logout"
output: { count: "{{ people | length }}" }
"#;

/// The page that every execution goes to once, under its run's site.
pub(crate) const PAGE: &str = "login";

/// Does everything that leaves something, in at most so many executions, with a wait before each but the first.
pub(crate) fn everything(max_attempts: u32, delay: &str) -> String {
    with_retry(EVERYTHING, max_attempts, delay)
}

/// Asks nobody, in at most so many executions, with a wait before each but the first.
pub(crate) fn alone(max_attempts: u32, delay: &str) -> String {
    with_retry(ALONE, max_attempts, delay)
}

/// Does not wait for answers for long, in at most so many executions, with a wait before each but the first.
pub(crate) fn hurried(max_attempts: u32, delay: &str) -> String {
    with_retry(HURRIED, max_attempts, delay)
}

fn with_retry(workflow: &str, max_attempts: u32, delay: &str) -> String {
    let retry = format!("{{ maxAttempts: {max_attempts}, delay: {delay} }}");
    workflow.replace("RETRY", &retry)
}
