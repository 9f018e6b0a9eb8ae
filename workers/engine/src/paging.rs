//! The way through the pages of an `extract`: by a link, by number, by scrolling, by "load more". Each way ends: by a
//! page that is the last one, by a bound, or by an error when a page comes again.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use browser::{Condition, Error, Field, Locator};
use domain::definition::{ClickOptions, Extract, PageNumber, Paging};
use serde_json::json;
use tokio::time::Instant;

use crate::execution::Execution;
use crate::extraction::{Collector, Rows, failed, field, refused};
use crate::failures::Stop;
use crate::resolution::Resolved;
use crate::seam::Scrolling;

/// How often rows are read again while they are about to change.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long the rows must stay the same after scrolling until there are no more: nothing else tells.
const NO_MORE_ROWS: Duration = Duration::from_secs(2);
/// The variable that counts the pages.
const PAGE: &str = "page";

/// What is read on each page.
struct Source<'e> {
    extract: &'e Extract,
    rows: Locator,
    fields: Vec<Field>,
}

/// Whether there is another page.
enum Turned {
    /// There is none.
    Ended,
    /// It is on its way.
    On,
}

impl Execution<'_> {
    /// Reads all pages; each has the step's time for itself.
    pub(crate) async fn extract(
        &mut self,
        extract: &Extract,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let source = Source {
            extract,
            rows: self.locate(&extract.rows)?,
            fields: extract
                .fields
                .iter()
                .map(|(name, spec)| field(name, spec, &self.resolver()))
                .collect::<Result<Vec<_>, _>>()?,
        };
        self.note.target = Some(source.rows.to_string());
        let limit = extract.limit.as_ref().map(|limit| limit.get(&self.scope));
        let limit = limit.transpose()?.map_or(usize::MAX, to_usize);
        let max_pages = to_usize(extract.max_pages.get(&self.scope)?);
        let mut collector = Collector::new(extract, self.mask(), limit);
        let read = match &extract.paging {
            Paging::Scroll { .. } | Paging::LoadMore(_) => {
                self.read_growing(&source, max_pages, timeout, &mut collector)
                    .await
            }
            Paging::None | Paging::Next(_) | Paging::Number { .. } => {
                self.read_pages(&source, max_pages, timeout, &mut collector)
                    .await
            }
        };
        if let Paging::Number { .. } = extract.paging {
            self.scope.forget(PAGE);
        }
        read?;
        self.keep_records(extract, collector.finish()?).await
    }

    /// Reads pages of which each replaces the one before.
    async fn read_pages(
        &mut self,
        source: &Source<'_>,
        max_pages: usize,
        timeout: Duration,
        collector: &mut Collector<'_>,
    ) -> Result<(), Stop> {
        let mut seen = HashSet::new();
        let mut previous = None;
        let by_url = matches!(
            &source.extract.paging,
            Paging::Number {
                by: PageNumber::Goto(_),
                ..
            }
        );
        for page in 1_usize.. {
            let deadline = Instant::now() + self.allow(timeout)?;
            let rows = if by_url && page > 1 {
                self.read_loaded_page(source, deadline).await?
            } else {
                self.read_page(source, previous, deadline).await?
            };
            if by_url && page > 1 && rows.is_empty() {
                break;
            }
            // Only its rows tell whether a page by its URL is one more, or the end.
            if page > max_pages {
                return Err(too_many(max_pages));
            }
            let print = fingerprint(&rows);
            if !seen.insert(print) {
                return Err(refused(format!(
                    "page {page} shows the rows of an earlier page again"
                )));
            }
            collector.take(page, 1, rows)?;
            if collector.is_full() {
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.turn(source.extract, page, max_pages, left).await? {
                Turned::Ended => break,
                Turned::On => previous = Some(print),
            }
        }
        Ok(())
    }

    /// Goes to the page after number `page`, if there is one.
    async fn turn(
        &mut self,
        extract: &Extract,
        page: usize,
        max_pages: usize,
        timeout: Duration,
    ) -> Result<Turned, Stop> {
        let target = match &extract.paging {
            Paging::Next(next) => self.locate(next)?,
            Paging::Number { by, from } => {
                let number = from.get(&self.scope)?.saturating_add(to_i64(page - 1));
                self.scope.set(PAGE, &json!(number));
                match by {
                    PageNumber::Click(target) => self.locate(target)?,
                    PageNumber::Goto(url) => {
                        self.goto(url, timeout).await?;
                        return Ok(Turned::On);
                    }
                }
            }
            Paging::None | Paging::Scroll { .. } | Paging::LoadMore(_) => return Ok(Turned::Ended),
        };
        if !self.can_click(&target).await? {
            return Ok(Turned::Ended);
        }
        if page >= max_pages {
            return Err(too_many(max_pages));
        }
        self.click_plainly(&target, timeout).await?;
        Ok(Turned::On)
    }

    /// Reads a page whose rows become more.
    async fn read_growing(
        &mut self,
        source: &Source<'_>,
        max_pages: usize,
        timeout: Duration,
        collector: &mut Collector<'_>,
    ) -> Result<(), Stop> {
        let deadline = Instant::now() + self.allow(timeout)?;
        let mut fresh = self.read_page(source, None, deadline).await?;
        let mut shown = fingerprints(&fresh);
        let mut seen: HashSet<u64> = HashSet::new();
        let mut taken = 0;
        for page in 1_usize.. {
            seen.extend(&shown);
            let count = fresh.len();
            collector.take(page, taken + 1, fresh)?;
            taken += count;
            if collector.is_full() {
                break;
            }
            let deadline = Instant::now() + self.allow(timeout)?;
            let Some(mut grown) = self.grow(source, &shown, deadline).await? else {
                break;
            };
            if page >= max_pages {
                return Err(refused(format!(
                    "there are still more rows after {max_pages} times: raise maxPages"
                )));
            }
            // Most pages add rows below; one that keeps only what is in view shows others, and some again.
            let prints = fingerprints(&grown);
            if prints.starts_with(&shown) {
                fresh = grown.split_off(shown.len());
            } else {
                grown.retain(|row| !seen.contains(&fingerprint(row)));
                fresh = grown;
            }
            shown = prints;
        }
        Ok(())
    }

    /// Makes more rows come than those that are shown. Gives all rows then, or `None` if there are no more.
    async fn grow(
        &mut self,
        source: &Source<'_>,
        shown: &[u64],
        deadline: Instant,
    ) -> Result<Option<Rows>, Stop> {
        let left = deadline.saturating_duration_since(Instant::now());
        let (button, until) = match &source.extract.paging {
            Paging::LoadMore(button) => {
                let button = self.locate(button)?;
                if !self.can_click(&button).await? {
                    return Ok(None);
                }
                self.click_plainly(&button, left).await?;
                (Some(button), deadline)
            }
            Paging::Scroll { container } => {
                let container = container.as_ref().map(|container| self.locate(container));
                let container = container.transpose()?;
                self.browser
                    .scroll(container.as_ref(), Scrolling::Bottom, left)
                    .await
                    .map_err(|error| failed(&error))?;
                (None, deadline.min(Instant::now() + NO_MORE_ROWS))
            }
            Paging::None | Paging::Next(_) | Paging::Number { .. } => return Ok(None),
        };
        let quiet = Instant::now() + NO_MORE_ROWS;
        loop {
            match self.browser.read_rows(&source.rows, &source.fields).await {
                Ok(grown) if !grown.is_empty() && fingerprints(&grown) != shown => {
                    return Ok(Some(grown));
                }
                Ok(_) | Err(Error::DocumentReplaced) => {}
                Err(error) => return Err(failed(&error)),
            }
            if let Some(button) = &button
                && Instant::now() >= quiet
                && !self.can_click(button).await?
            {
                return Ok(None);
            }
            if Instant::now() >= until {
                if button.is_some() {
                    return Err(refused("no more rows came after the click for more"));
                }
                return Ok(None);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Reads the rows of the page that is there. After `previous`, they must be others than those with this fingerprint.
    async fn read_page(
        &mut self,
        source: &Source<'_>,
        previous: Option<u64>,
        deadline: Instant,
    ) -> Result<Rows, Stop> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let awaited = match &source.extract.ready {
                Some(ready) => self.resolver().condition(ready)?,
                // Without `ready`, no rows means: not yet.
                None => Resolved::Page(Condition::Visible(source.rows.clone())),
            };
            if let Resolved::Page(awaited) = awaited {
                self.browser
                    .wait_for(&awaited, left)
                    .await
                    .map_err(|error| failed(&error))?;
            }
            let read = self.browser.read_rows(&source.rows, &source.fields).await;
            match (read, previous) {
                (Ok(rows), None) => return Ok(rows),
                (Ok(rows), Some(previous))
                    if !rows.is_empty() && fingerprint(&rows) != previous =>
                {
                    return Ok(rows);
                }
                (Ok(_) | Err(Error::DocumentReplaced), _) => {}
                (Err(error), _) => return Err(failed(&error)),
            }
            if Instant::now() >= deadline {
                return Err(refused(
                    "the rows did not change after the click on the next page",
                ));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Reads the rows of a page that has loaded; none means that there is no such page.
    async fn read_loaded_page(
        &mut self,
        source: &Source<'_>,
        deadline: Instant,
    ) -> Result<Rows, Stop> {
        if let Some(ready) = &source.extract.ready
            && let Resolved::Page(awaited) = self.resolver().condition(ready)?
        {
            let left = deadline.saturating_duration_since(Instant::now());
            let waited = self.browser.wait_for(&awaited, left).await;
            waited.map_err(|error| failed(&error))?;
        }
        let read = self.browser.read_rows(&source.rows, &source.fields).await;
        read.map_err(|error| failed(&error))
    }

    /// Whether an element is there to be clicked: what leads on is gone or disabled at the end.
    async fn can_click(&mut self, target: &Locator) -> Result<bool, Stop> {
        if !self.holds(&Condition::Visible(target.clone())).await? {
            return Ok(false);
        }
        self.browser
            .is_enabled(target)
            .await
            .map_err(|error| failed(&error))
    }

    async fn click_plainly(&mut self, target: &Locator, timeout: Duration) -> Result<(), Stop> {
        let clicked = self
            .browser
            .click(target, &ClickOptions::default(), timeout)
            .await;
        clicked.map_err(|error| failed(&error))
    }
}

fn too_many(max_pages: usize) -> Stop {
    refused(format!(
        "there are more than {max_pages} pages: raise maxPages"
    ))
}

fn fingerprint(rows: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    hasher.finish()
}

fn fingerprints(rows: &Rows) -> Vec<u64> {
    rows.iter().map(fingerprint).collect()
}

fn to_usize(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
