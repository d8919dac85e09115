//! The files that the race writes after every condition.

use std::path::{Path, PathBuf};

use crate::disk::output::OutputError;
use crate::disk::staging::StagedFile;

/// A file that is replaced as a whole after every condition. In between, its staging file locks out other
/// runs.
#[derive(Debug)]
pub struct OutputFile {
    target: PathBuf,
    staged: Option<StagedFile>,
}

impl OutputFile {
    /// Fails if the file cannot be written.
    pub fn stage(target: &Path) -> Result<Self, OutputError> {
        Ok(OutputFile {
            target: target.to_owned(),
            staged: Some(StagedFile::create(target)?),
        })
    }

    /// Replaces the file. After an error it has the content of before.
    pub fn replace(&mut self, content: &[u8]) -> Result<(), OutputError> {
        let staged = match self.staged.take() {
            Some(staged) => staged,
            None => StagedFile::create(&self.target)?,
        };
        staged.write(|out| out.write_all(content))?;
        staged.publish()?;
        // After an error, the next call creates the staging file, or reports why it cannot.
        self.staged = StagedFile::create(&self.target).ok();
        Ok(())
    }
}
