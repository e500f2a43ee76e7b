//! What every page of a measurement keeps to.

/// The page asks for nothing from anywhere, and what it opens it closes.
#[track_caller]
pub fn stands_alone(page: &str) {
    assert!(page.contains("prefers-color-scheme: dark"));
    for foreign in [
        "http:", "https:", "//", "<script", "<link", "@import", "url(", "src=",
    ] {
        assert!(!page.contains(foreign), "the page has `{foreign}`");
    }
    for tag in [
        "figure", "svg", "table", "div", "ul", "li", "g", "h2", "details",
    ] {
        let (opened, closed) = (format!("<{tag}"), format!("</{tag}>"));
        let opened = page.match_indices(&opened).filter(|(at, _)| {
            let next = page[at + opened.len()..].chars().next();
            next == Some(' ') || next == Some('>')
        });
        assert_eq!(opened.count(), page.matches(&closed).count(), "<{tag}>");
    }
}
