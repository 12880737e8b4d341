// The results: a row a method or baseline, a column a metric, each number with its 95 % interval over photos.
#pragma once

#include "evaluate/bootstrap.h"
#include "evaluate/records.h"

namespace limn {

struct Table {
    struct Row {
        std::string name;
        bool baseline;
        std::vector<Estimate> cells;  // one a column; count 0 where nothing is known
    };
    std::vector<Metric> columns;
    std::vector<Row> rows;
    Index photos = 0;                   // rated
    std::vector<std::string> left_out;  // "PHOTO: why"
    Index without_place = 0;            // photos of which nobody says where the object is, if that was asked
};

Table table_of(const std::vector<PhotoRecord>& records, const std::vector<Metric>& columns, const Bootstrap& options);

// Is this the best of its column? Baselines do not compete.
bool is_best(const Table& table, std::size_t row, std::size_t column);

std::string number_text(const Metric& metric, double value);         // 87.3 or 0.412
std::string terminal_text(const Table& table, std::size_t columns);  // as wide as the terminal; several tables if need be
std::string csv_text(const Table& table);                            // method,baseline,METRIC,METRIC low,METRIC high,METRIC photos,...
std::string json_text(const Table& table, const NamedTexts& settings);

}  // namespace limn
