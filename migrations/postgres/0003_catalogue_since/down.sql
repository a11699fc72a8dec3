DROP INDEX catalogue_since;
