//! The mouse: clicking, hovering, dragging, turning the wheel.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::action::{Prepare, Ready, Tried};
use crate::deadline::Deadline;
use crate::feed::Subscription;
use crate::frame::{Found, Scope};
use crate::keyboard::Modifier;
use crate::page::{Page, millis};
use crate::{Error, Locator};

/// In how many steps the mouse goes from one place to another while it drags.
const DRAG_STEPS: u32 = 5;

/// A button of the mouse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MouseButton {
    /// The main one.
    #[default]
    Left,
    /// The one in the middle.
    Middle,
    /// The one that opens menus.
    Right,
}

/// How an element is clicked.
#[derive(Clone, Debug, PartialEq)]
pub struct Click {
    /// With which button.
    pub button: MouseButton,
    /// How often: two is a double click.
    pub count: u32,
    /// The keys that are held meanwhile.
    pub modifiers: Vec<Modifier>,
    /// Where, from the element's left upper corner, in CSS pixels; the middle of what can be seen
    /// of it, if absent.
    pub position: Option<(f64, f64)>,
}

impl Default for Click {
    fn default() -> Self {
        Self {
            button: MouseButton::Left,
            count: 1,
            modifiers: Vec::new(),
            position: None,
        }
    }
}

/// Where something is scrolled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrollTo {
    /// Until the element is in view.
    View,
    /// To the beginning of what the element, or what is around it, shows a part of.
    Top,
    /// To the end of it.
    Bottom,
}

#[derive(Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

impl Page {
    /// Clicks the element in its middle, once it is visible, still, enabled and uncovered.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Ambiguous`] and [`Error::NotActionable`] say what is wrong
    /// with the element; others that the page or the browser has gone.
    pub async fn click(&self, locator: &Locator, timeout: Duration) -> Result<(), Error> {
        self.click_with(locator, &Click::default(), timeout).await
    }

    /// Clicks the element in some other way than once with the main button in its middle.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`].
    pub async fn click_with(
        &self,
        locator: &Locator,
        click: &Click,
        timeout: Duration,
    ) -> Result<(), Error> {
        let prepare = Prepare::mouse("mouse", click.position);
        let events = |x, y| click_events(x, y, click);
        self.act(locator, prepare, events, Deadline::after(timeout))
            .await
    }

    /// Clicks the element twice, as a double click.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`].
    pub async fn double_click(&self, locator: &Locator, timeout: Duration) -> Result<(), Error> {
        let click = Click {
            count: 2,
            ..Click::default()
        };
        self.click_with(locator, &click, timeout).await
    }

    /// Moves the mouse over the element.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`].
    pub async fn hover(&self, locator: &Locator, timeout: Duration) -> Result<(), Error> {
        let prepare = Prepare::mouse("hover", None);
        let events = |x, y| vec![event("mouseMoved", x, y)];
        self.act(locator, prepare, events, Deadline::after(timeout))
            .await
    }

    /// Drags one element to the middle of another: presses the mouse on it, moves it there, lets
    /// it go. Where the page lets the browser's own dragging begin, that is what happens, with all
    /// its events; otherwise the page sees the mouse.
    ///
    /// # Errors
    ///
    /// As for [`Page::click`], of either element.
    pub async fn drag(
        &self,
        source: &Locator,
        target: &Locator,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        // The browser's own dragging would wait for an operating system.
        let intercept = |enabled: bool| json!({"enabled": enabled});
        self.call("Input.setInterceptDrags", intercept(true), deadline)
            .await?;
        let dragged = self.drag_intercepted(source, target, deadline).await;
        let told = self
            .call("Input.setInterceptDrags", intercept(false), deadline)
            .await;
        dragged.and(told.map(drop))
    }

    async fn drag_intercepted(
        &self,
        source: &Locator,
        target: &Locator,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (scope, from) = self.point_at(source, "mouse", deadline).await?;
        self.ask::<Option<()>>(&scope, "watchDrag", &json!([]), deadline)
            .await?;
        let pressed = vec![
            event("mouseMoved", from.0, from.1),
            with_button(event("mousePressed", from.0, from.1), 1, 1),
            // Dragging begins when the mouse has moved a little: before the target is scrolled to.
            with_button(event("mouseMoved", from.0 + 4.0, from.1 + 4.0), 1, 0),
            with_button(event("mouseMoved", from.0 + 8.0, from.1 + 8.0), 1, 0),
        ];
        let mut drags = self.target.tabs.feed.subscribe(
            Some(&self.target.main_frame),
            &["Input.dragIntercepted"],
            4,
        );
        if let Some(by) = self.send(&scope, pressed, deadline).await? {
            self.release(from, deadline).await?;
            return Err(Error::NotActionable {
                locator: source.to_string(),
                after: deadline.allowed(),
                reason: format!("{by} got the mouse instead"),
            });
        }
        // From here on the button is held, and must be let go whatever happens.
        let carried = self.carry(&scope, from, target, &mut drags, deadline).await;
        let to = carried.as_ref().map_or(from, |to| *to);
        let released = self.release(to, deadline).await;
        carried.map(drop).and(released)
    }

    async fn carry(
        &self,
        scope: &Scope,
        from: (f64, f64),
        target: &Locator,
        drags: &mut Subscription,
        deadline: Deadline,
    ) -> Result<(f64, f64), Error> {
        let has_begun: bool = self
            .ask(scope, "hasDragBegun", &json!([]), deadline)
            .await?;
        let (_, to) = self.point_at(target, "hover", deadline).await?;
        let step = |n: u32| {
            let part = f64::from(n) / f64::from(DRAG_STEPS);
            let (x, y) = (
                from.0 + (to.0 - from.0) * part,
                from.1 + (to.1 - from.1) * part,
            );
            with_button(event("mouseMoved", x, y), 1, 0)
        };
        if !has_begun {
            // One after the other: moves that come together are one to the page.
            for n in 1..=DRAG_STEPS {
                let (method, params) = step(n);
                self.call(method, params, deadline).await?;
            }
            return Ok(to);
        }
        let intercepted = deadline.wait(drags.next()).await;
        let Some(Some(intercepted)) = intercepted else {
            return Err(Error::TimedOut {
                awaited: "the browser to begin dragging".to_owned(),
                after: deadline.allowed(),
                found: "the page let it begin, but nothing was dragged".to_owned(),
            });
        };
        for kind in ["dragEnter", "dragOver", "dragOver", "drop"] {
            let params = json!({
                "type": kind, "x": to.0, "y": to.1, "data": intercepted.params["data"],
            });
            self.call("Input.dispatchDragEvent", params, deadline)
                .await?;
        }
        Ok(to)
    }

    async fn release(&self, at: (f64, f64), deadline: Deadline) -> Result<(), Error> {
        let (method, params) = with_button(event("mouseReleased", at.0, at.1), 0, 1);
        self.call(method, params, deadline.with_grace())
            .await
            .map(drop)
    }

    /// Waits until an element is ready for the mouse, and gives where on the page it is.
    async fn point_at(
        &self,
        locator: &Locator,
        kind: &'static str,
        deadline: Deadline,
    ) -> Result<(Scope, (f64, f64)), Error> {
        let mut prepare = Prepare::mouse(kind, None);
        let mut last = None;
        loop {
            let prepared = self.prepare(locator, prepare, deadline).await;
            let (scope, Ready { x, y, .. }) = missed_before(prepared, locator, &last, deadline)?;
            let reason = match self.place(&scope, (x, y), deadline).await {
                Ok(Ok(point)) => return Ok((scope, point)),
                Ok(Err(cover)) => {
                    prepare.hidden_again();
                    cover
                }
                Err(Error::DocumentReplaced) => "its frame was replaced".to_owned(),
                Err(error) => return missed_before(Err(error), locator, &last, deadline),
            };
            last = Some(reason.clone());
            self.again(locator, reason, deadline).await?;
        }
    }

    /// Scrolls an element into view, or its content, or the page if no element is named.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub async fn scroll_to(
        &self,
        locator: Option<&Locator>,
        to: ScrollTo,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let to = match to {
            ScrollTo::View => "view",
            ScrollTo::Top => "top",
            ScrollTo::Bottom => "bottom",
        };
        let scope = match locator {
            None => {
                self.settled(deadline).await?;
                self.main_scope(deadline).await?
            }
            Some(locator) => {
                self.settled(deadline).await?;
                self.scope(locator, deadline.allowed(), deadline).await?
            }
        };
        let arguments = json!([locator, to, millis(deadline.remaining())]);
        let found: Found<()> = self.ask(&scope, "scroll", &arguments, deadline).await?;
        found.one(locator.unwrap_or(&Locator::css(":root")), deadline)?;
        self.calm(&scope, deadline).await
    }

    /// Turns the wheel over an element, or over the middle of the page, by so many CSS pixels to
    /// the right and down, and waits until what that moved stands still.
    ///
    /// # Errors
    ///
    /// As for [`Page::hover`].
    pub async fn scroll_by(
        &self,
        locator: Option<&Locator>,
        right: f64,
        down: f64,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(timeout);
        let (scope, (x, y)) = match locator {
            Some(locator) => self.point_at(locator, "hover", deadline).await?,
            None => {
                self.settled(deadline).await?;
                let scope = self.main_scope(deadline).await?;
                let Point { x, y } = self.ask(&scope, "middle", &json!([]), deadline).await?;
                (scope, (x, y))
            }
        };
        let (method, mut params) = event("mouseWheel", x, y);
        params["deltaX"] = right.into();
        params["deltaY"] = down.into();
        self.call(method, params, deadline).await?;
        self.calm(&scope, deadline).await
    }

    /// Waits until nothing scrolls any more.
    async fn calm(&self, scope: &Scope, deadline: Deadline) -> Result<(), Error> {
        let left = json!([millis(deadline.remaining())]);
        self.ask::<Option<()>>(scope, "calm", &left, deadline)
            .await
            .map(drop)
    }

    /// Waits for an element and acts on it with the mouse, again if something else got the events.
    pub(crate) async fn act(
        &self,
        locator: &Locator,
        mut prepare: Prepare,
        events: impl Fn(f64, f64) -> Vec<(&'static str, Value)>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut mouse_at = None;
        let mut last = None;
        loop {
            let prepared = self.prepare(locator, prepare, deadline).await;
            let (scope, ready) = missed_before(prepared, locator, &last, deadline)?;
            let tried = match self.place(&scope, (ready.x, ready.y), deadline).await {
                Ok(Ok((x, y))) => {
                    let mut events = events(x, y);
                    if mouse_at == Some((x, y)) {
                        // A page may put something new under each move of the mouse, so that every
                        // other try is made without one.
                        events.retain(|(_, event)| event["type"] != "mouseMoved");
                    }
                    mouse_at = (mouse_at != Some((x, y))).then_some((x, y));
                    let missed = self.send(&scope, events, deadline).await?;
                    missed.map_or(Tried::Done, |by| {
                        Tried::Missed(format!("{by} got the click instead"))
                    })
                }
                Ok(Err(cover)) => {
                    prepare.hidden_again();
                    Tried::Missed(cover)
                }
                // Nothing was done yet: the frame went away, and is looked for anew.
                Err(Error::DocumentReplaced) => Tried::Missed("its frame was replaced".to_owned()),
                Err(error) => return missed_before(Err(error), locator, &last, deadline),
            };
            match tried {
                Tried::Done => return Ok(()),
                Tried::Missed(reason) => {
                    last = Some(reason.clone());
                    self.again(locator, reason, deadline).await?;
                }
            }
        }
    }

    /// Lets another try follow, if there is time.
    async fn again(
        &self,
        locator: &Locator,
        reason: String,
        deadline: Deadline,
    ) -> Result<(), Error> {
        if deadline.has_passed() {
            return Err(Error::NotActionable {
                locator: locator.to_string(),
                after: deadline.allowed(),
                reason,
            });
        }
        self.pause().await;
        Ok(())
    }
}

/// If the time was over in the middle of another try, what was in the way of the one before it says
/// more.
fn missed_before<T>(
    prepared: Result<T, Error>,
    locator: &Locator,
    last: &Option<String>,
    deadline: Deadline,
) -> Result<T, Error> {
    match (prepared, last) {
        (Err(Error::TimedOut { .. }), Some(reason)) => Err(Error::NotActionable {
            locator: locator.to_string(),
            after: deadline.allowed(),
            reason: reason.clone(),
        }),
        (prepared, _) => prepared,
    }
}

fn event(kind: &str, x: f64, y: f64) -> (&'static str, Value) {
    let params = json!({"type": kind, "x": x, "y": y});
    ("Input.dispatchMouseEvent", params)
}

/// The same event with the main button, held or not.
fn with_button(event: (&'static str, Value), held: u32, count: u32) -> (&'static str, Value) {
    let (method, mut params) = event;
    params["button"] = "left".into();
    params["buttons"] = held.into();
    params["clickCount"] = count.into();
    (method, params)
}

/// The events of a click at a point of the page.
pub(crate) fn click_events(x: f64, y: f64, click: &Click) -> Vec<(&'static str, Value)> {
    let (button, held) = match click.button {
        MouseButton::Left => ("left", 1),
        MouseButton::Right => ("right", 2),
        MouseButton::Middle => ("middle", 4),
    };
    let modifiers = Modifier::bits(&click.modifiers);
    let mut events = vec![event("mouseMoved", x, y)];
    for count in 1..=click.count {
        for (kind, buttons) in [("mousePressed", held), ("mouseReleased", 0)] {
            let (method, mut params) = event(kind, x, y);
            params["button"] = button.into();
            params["buttons"] = buttons.into();
            params["clickCount"] = count.into();
            events.push((method, params));
        }
    }
    for (_, params) in &mut events {
        params["modifiers"] = modifiers.into();
    }
    events
}
