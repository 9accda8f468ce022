// An app that falls over at once.
process.exit(3)
