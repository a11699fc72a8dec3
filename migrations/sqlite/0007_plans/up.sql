-- Nothing: see the same step on PostgreSQL, whose plans depend on what it has counted.
SELECT 1;
