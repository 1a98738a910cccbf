"""What the tests of the documentation share: pages in pieces, and the parts of pages that are made from the code."""
