//! Findings on a page: why it happened, and what to try.

use super::{Page, shown};
use crate::incident::explain::Finding;

impl Page {
    pub(super) fn findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            self.line(&shown(&finding.says));
            self.row("  try", &shown(&finding.what_to_try));
            for line in &finding.evidence {
                self.row("  seen by", &shown(line));
            }
            self.row("  rule", finding.rule);
            self.line("");
        }
    }
}

/// The findings alone.
pub fn explained(findings: &[Finding]) -> String {
    let mut page = Page(String::new());
    page.findings(findings);
    page.0
}
