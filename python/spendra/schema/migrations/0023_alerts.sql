-- At which shares of its limit, in percent, a budget's window is told of.
ALTER TABLE spendra.budgets ADD COLUMN alert_at_percent smallint[] NOT NULL DEFAULT '{50,80,100}';
