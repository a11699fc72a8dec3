ALTER TABLE nodes DROP COLUMN schema;
DROP TABLE migration_steps;
