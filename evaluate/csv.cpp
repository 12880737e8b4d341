#include "engine/file.h"
#include "evaluate/annotations.h"

namespace limn {

constexpr std::size_t largest_table = std::size_t(1) << 28, most_fields = std::size_t(1) << 24;  // an empty field takes 32 bytes

std::vector<std::vector<std::string>> read_csv(const std::filesystem::path& path) {
    const auto bytes = read_file(path, largest_table);
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // saved by a spreadsheet
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string> row;
    std::string field;
    bool quoted = false, was_quoted = false;
    std::size_t line = 1, fields = 0;
    const auto end_field = [&] {
        LIMN_CHECK(++fields <= most_fields, "{}: has more than {} fields", path.string(), most_fields);
        row.push_back(std::move(field));
        field.clear();
        was_quoted = false;
    };
    const auto end_row = [&] {
        end_field();
        if (row.size() > 1 || !row[0].empty()) rows.push_back(std::move(row));  // not empty lines
        row.clear();
    };
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        LIMN_CHECK(c != 0, "{}: line {} holds a zero byte: this is no text", path.string(), line);
        line += c == '\n';
        if (quoted) {
            if (c != '"')
                field += c;
            else if (i + 1 < text.size() && text[i + 1] == '"')
                field += text[i++];
            else
                quoted = false;
        } else if (c == '"' && field.empty() && !was_quoted) {
            quoted = was_quoted = true;
        } else if (c == ',') {
            end_field();
        } else if (c == '\n') {
            end_row();
        } else if (c != '\r') {
            LIMN_CHECK(!was_quoted, "{}: line {}: text after a field in quotes", path.string(), line);
            field += c;
        }
    }
    LIMN_CHECK(!quoted, "{}: ends within a field in quotes", path.string());
    if (!field.empty() || !row.empty() || was_quoted) end_row();
    return rows;
}

}  // namespace limn
