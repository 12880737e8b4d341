#include "view/report.h"

#include <fmt/format.h>

namespace limn {

static std::string escaped(const std::string& text) {
    std::string out;
    for (char c : text) out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
    return out;
}

static std::string base64(const std::vector<std::byte>& bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        unsigned triple = 0;
        for (std::size_t j = 0; j < 3; j++) triple = triple << 8 | (i + j < bytes.size() ? std::to_integer<unsigned>(bytes[i + j]) : 0);
        for (std::size_t j = 0; j < 4; j++) out += i + j <= bytes.size() ? digits[triple >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

static std::string figure(const Image& image, const std::string& caption, const std::vector<std::string>& notes) {
    std::string text = fmt::format("<figure><img alt=\"{0}\" src=\"data:image/png;base64,{1}\"><figcaption>{0}", escaped(caption),
                                   base64(encode_png(image)));
    for (const std::string& note : notes) text += "<br><em>" + escaped(note) + "</em>";
    return text + "</figcaption></figure>\n";
}

std::string html_report(const std::string& title, const std::string& model, const Image& photo, const std::vector<std::string>& predictions,
                        const std::vector<ReportPicture>& pictures) {
    std::string body = fmt::format("<h1>{}</h1>\n<p>model: {}</p>\n<ol>\n", escaped(title), escaped(model));
    for (const std::string& line : predictions) body += "<li>" + escaped(line) + "</li>\n";
    body += "</ol>\n<div class=\"row\">\n" + figure(photo, "photo", {});
    for (const ReportPicture& p : pictures) body += figure(p.picture, p.caption, p.diagnostics);
    return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escaped(title) +
           "</title>\n<style>body{font:16px sans-serif;margin:2em;max-width:90em}.row{display:flex;flex-wrap:wrap;gap:1em}"
           "figure{margin:0;max-width:28em}img{width:100%}em{color:#a33}</style></head>\n<body>\n" +
           body + "</div>\n</body></html>\n";
}

}  // namespace limn
