//! The way through the pages of an `extract`: by a link, by number, by scrolling, by "load more". Each way ends: by a
//! page that is the last one, by a bound, or by an error when a page comes again.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use browser::{Condition, Error, Field, Locator, Rows};
use domain::definition::{ClickOptions, Extract, PageNumber, Paging, Template};
use serde_json::json;
use tokio::time::Instant;

use crate::execution::Execution;
use crate::extraction::{Collector, failed, field, refused};
use crate::failures::Stop;
use crate::resolution::Resolved;
use crate::seam::Scrolling;

/// How often rows are read again while they are about to change.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long the rows must stay the same after scrolling until there are no more: nothing else tells. And how long they
/// may keep changing on a page that is read whole: there are some in which something always moves.
const NO_MORE_ROWS: Duration = Duration::from_secs(2);
/// How long the end must last until it is one: what leads on, or the first row, may be drawn a moment later, or be
/// disabled while the page loads.
const END_LASTS: Duration = Duration::from_millis(500);
/// The variable that counts the pages.
const PAGE: &str = "page";

/// What is read on each page.
struct Source<'e> {
    extract: &'e Extract,
    rows: Locator,
    fields: Vec<Field>,
}

/// What leads from a page to the next one.
enum Lead<'e> {
    /// There is only this one.
    Nothing,
    Click(Locator),
    Goto(&'e Template),
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
        for page in 1_usize.. {
            let deadline = Instant::now() + self.allow(timeout)?;
            let lead = self.lead(source.extract, page)?;
            let (rows, leads_on) = self.read_page(source, &lead, previous, deadline).await?;
            if matches!(lead, Lead::Goto(_)) && page > 1 && rows.cells.is_empty() {
                break;
            }
            // Only its rows tell whether a page by its URL is one more, or the end.
            if page > max_pages {
                return Err(too_many(max_pages));
            }
            let print = fingerprint(&rows.cells);
            if !seen.insert(print) {
                return Err(refused(format!(
                    "page {page} shows the rows of an earlier page again"
                )));
            }
            collector.take(page, 1, rows)?;
            if collector.is_full() || !leads_on {
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match &lead {
                Lead::Nothing => break,
                Lead::Goto(url) => self.goto(url, left).await?,
                Lead::Click(_) if page >= max_pages => return Err(too_many(max_pages)),
                Lead::Click(target) => self.click_plainly(target, left).await?,
            }
            previous = Some(print);
        }
        Ok(())
    }

    /// What leads to the page after number `page`, if there is one.
    fn lead<'e>(&mut self, extract: &'e Extract, page: usize) -> Result<Lead<'e>, Stop> {
        Ok(match &extract.paging {
            Paging::Next(next) => Lead::Click(self.locate(next)?),
            Paging::Number { by, from } => {
                let number = from.get(&self.scope)?.saturating_add(to_i64(page - 1));
                self.scope.set(PAGE, &json!(number));
                match by {
                    PageNumber::Click(target) => Lead::Click(self.locate(target)?),
                    PageNumber::Goto(url) => Lead::Goto(url),
                }
            }
            Paging::None | Paging::Scroll { .. } | Paging::LoadMore(_) => Lead::Nothing,
        })
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
        let first = self.read_page(source, &Lead::Nothing, None, deadline);
        let (mut fresh, _) = first.await?;
        let mut shown = fingerprints(&fresh);
        let mut seen: HashSet<u64> = HashSet::new();
        let mut taken = 0;
        for page in 1_usize.. {
            seen.extend(&shown);
            let count = fresh.cells.len();
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
                grown.cells.drain(..shown.len());
            } else {
                grown.cells.retain(|row| !seen.contains(&fingerprint(row)));
            }
            (fresh, shown) = (grown, prints);
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
        let left = || deadline.saturating_duration_since(Instant::now());
        let (button, until) = match &source.extract.paging {
            Paging::LoadMore(button) => {
                let button = self.locate(button)?;
                if !self.comes(&clickable(&button), deadline).await? {
                    // The last rows may come without it. Where only the text of some has changed, these are the same.
                    // What tells that the page is ready may have gone with the button.
                    return match self.browser.read_rows(&source.rows, &source.fields).await {
                        Ok(rows) => Ok((rows.cells.len() > shown.len()).then_some(rows)),
                        Err(Error::DocumentReplaced) => Ok(None),
                        Err(error) => Err(failed(&error)),
                    };
                }
                self.click_plainly(&button, left()).await?;
                (Some(button), deadline)
            }
            Paging::Scroll { container } => {
                let container = container.as_ref().map(|container| self.locate(container));
                let container = container.transpose()?;
                self.browser
                    .scroll(container.as_ref(), Scrolling::Bottom, left())
                    .await
                    .map_err(|error| failed(&error))?;
                (None, deadline.min(Instant::now() + NO_MORE_ROWS))
            }
            Paging::None | Paging::Next(_) | Paging::Number { .. } => return Ok(None),
        };
        let quiet = Instant::now() + NO_MORE_ROWS;
        loop {
            // Asked before the rows are read for the last time: they may come until then, however long that takes, and with
            // them the button may go.
            let is_over = Instant::now() >= until;
            let is_gone = match &button {
                Some(button) if Instant::now() >= quiet => !self.holds(&clickable(button)).await?,
                Some(_) | None => false,
            };
            match self.browser.read_rows(&source.rows, &source.fields).await {
                Ok(grown) if !grown.cells.is_empty() && fingerprints(&grown) != shown => {
                    return Ok(Some(grown));
                }
                Ok(_) | Err(Error::DocumentReplaced) => {}
                Err(error) => return Err(failed(&error)),
            }
            if is_gone || is_over && button.is_none() {
                return Ok(None);
            }
            if is_over {
                return Err(refused("no more rows came after the click for more"));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Reads the page that is there, and says whether something leads on from it. Where pages follow each other, each is
    /// read until its rows stay as they are.
    async fn read_page(
        &mut self,
        source: &Source<'_>,
        lead: &Lead<'_>,
        previous: Option<u64>,
        deadline: Instant,
    ) -> Result<(Rows, bool), Stop> {
        let (previous, may_be_none) = match lead {
            Lead::Goto(_) => (None, previous.is_some()),
            Lead::Nothing | Lead::Click(_) => (previous, false),
        };
        let read = self.read_rows(source, previous, may_be_none, deadline);
        let mut rows = read.await?;
        let patience = deadline.min(Instant::now() + NO_MORE_ROWS);
        loop {
            let leads_on = match lead {
                Lead::Nothing => return Ok((rows, false)),
                Lead::Click(target) => self.comes(&clickable(target), deadline).await?,
                Lead::Goto(_) => {
                    // Only its rows tell what a page is that was gone to.
                    if rows.cells.is_empty() {
                        let row = Condition::Attached(source.rows.clone());
                        self.comes(&row, deadline).await?;
                    }
                    true
                }
            };
            tokio::time::sleep(LOOK_AGAIN).await;
            let read = self.read_rows(source, previous, may_be_none, deadline);
            let again = read.await?;
            if again.cells == rows.cells || Instant::now() >= patience {
                return Ok((again, leads_on));
            }
            rows = again;
        }
    }

    /// Reads the rows, once they are there. After a page whose rows have the fingerprint `previous`, they must be others.
    async fn read_rows(
        &mut self,
        source: &Source<'_>,
        previous: Option<u64>,
        may_be_none: bool,
        deadline: Instant,
    ) -> Result<Rows, Stop> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let awaited = match &source.extract.ready {
                Some(ready) => self.resolver().condition(ready)?,
                None if may_be_none => Resolved::Known(true),
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
                    if !rows.cells.is_empty() && fingerprint(&rows.cells) != previous =>
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

    /// Waits for a condition for as long as it may be late, and says whether it holds.
    async fn comes(&mut self, condition: &Condition, deadline: Instant) -> Result<bool, Stop> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.browser.wait_for(condition, left.min(END_LASTS)).await {
            Ok(()) => Ok(true),
            // A page that was too busy to answer ends like that, too: the next answer tells.
            Err(Error::TimedOut { .. }) => self.holds(condition).await,
            Err(error) => Err(failed(&error)),
        }
    }

    async fn click_plainly(&mut self, target: &Locator, timeout: Duration) -> Result<(), Stop> {
        let clicked = self
            .browser
            .click(target, &ClickOptions::default(), timeout)
            .await;
        clicked.map_err(|error| failed(&error))
    }
}

/// An element is there to be clicked: what leads on is gone or disabled at the end.
fn clickable(target: &Locator) -> Condition {
    Condition::All(vec![
        Condition::Visible(target.clone()),
        Condition::Enabled(target.clone()),
    ])
}

fn too_many(max_pages: usize) -> Stop {
    refused(format!(
        "there are more than {max_pages} pages: raise maxPages"
    ))
}

/// What a row, or the rows of a page, are known by. What links in them are relative to is no part of it: many pages change
/// their URL before their rows, or with each that is added.
fn fingerprint(cells: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    cells.hash(&mut hasher);
    hasher.finish()
}

fn fingerprints(rows: &Rows) -> Vec<u64> {
    rows.cells.iter().map(fingerprint).collect()
}

fn to_usize(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
