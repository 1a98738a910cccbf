"""Pictures as terminals with a graphics protocol take them: kitty's, iTerm2's, sixel. No library that is kept serves moving pictures."""
