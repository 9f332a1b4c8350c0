"""What the roles are told: briefs, the evidence that may be cited, and what came of earlier rounds."""
