// Package contract reads the input contract: one line of NDJSON or CSV becomes
// one row of a stream, or an *Error that says why not and how to mend it.
//
// A Parser reads samples, processes, allocations and resources; a Header, read
// from the first line of a CSV file, makes rows of prices and tags. Lines splits
// a file. Batch collects samples into the columns that travel.
//
// Numbers are exact: a decimal is rounded once, half up, from its text to the
// integer unit of the column (millionths, milliwatts, joules, nano-units) and
// never goes through a float. Fields that the contract does not know are ignored
// and counted. What the package does not do: judge time (an event of 1970 is
// read well; the processor refuses it), sort, deduplicate, or open files.
package contract
