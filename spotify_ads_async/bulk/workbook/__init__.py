"""New campaigns, ad sets and ads from tables, and tables about several kinds of things: one plan of it all."""
